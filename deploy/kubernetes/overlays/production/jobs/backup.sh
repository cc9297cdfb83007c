#!/bin/sh
# A backup that is proven: restored into a scratch redis-server and compared, key by key. Then what Prometheus is to know, whatever came of the first:
# the age of the last proven backup grows by itself.
set -eu

folder=${ONGGI_BACKUPS:-/backups}
metrics=${ONGGI_METRICS:-/metrics}

code=0
onggi backup create --environment "${ONGGI_ENVIRONMENT:-production}" --out "$folder" --keep "${ONGGI_BACKUP_KEEP:-14}" || code=$?
onggi backup metrics "$folder" --out "$metrics/onggi_backup.prom" || code=$?
exit "$code"
