#!/bin/sh
# Proves again what lies there: a disk can forget. One that is broken fails the job, after the others were looked at.
set -eu

folder=${ONGGI_BACKUPS:-/backups}
metrics=${ONGGI_METRICS:-/metrics}

code=0
seen=0
for file in "$folder"/*.onggi "$folder"/*.rdb; do
  [ -e "$file" ] || continue
  seen=$((seen + 1))
  onggi backup verify "$file" || code=$?
done
onggi backup metrics "$folder" --out "$metrics/onggi_backup.prom" || code=$?
if [ "$seen" -eq 0 ]; then
  echo "there is no backup in $folder" >&2
  exit 1
fi
exit "$code"
