#!/bin/sh
# Compares the keys with the catalog, and tells Prometheus. Findings are the alerts' matter and fail no job; that it could not be done does.
set -eu

metrics=${ONGGI_METRICS:-/metrics}

code=0
onggi audit --environment "${ONGGI_ENVIRONMENT:-production}" --metrics "$metrics/onggi_audit.prom" || code=$?
[ "$code" -le 1 ] || exit "$code"
