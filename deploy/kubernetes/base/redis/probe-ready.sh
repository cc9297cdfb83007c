#!/bin/sh
# Is this Redis ready for clients? Only PONG will do. While it loads, runs a long script or hangs, it gets no new connections; see probe-live.sh for
# what is worth a restart, and for the variables.
set -eu

host=${ONGGI_PROBE_HOST:-127.0.0.1}
port=${ONGGI_PROBE_PORT:-6379}
seconds=${ONGGI_PROBE_SECONDS:-3}

# Without a password it asks all the same, so that the answer says what is missing.
REDISCLI_AUTH=$(cat "${ONGGI_PROBE_PASSWORD_FILE:-/run/secrets/redis-probe/password}" 2>/dev/null) || REDISCLI_AUTH=
export REDISCLI_AUTH
set -- -h "$host" -p "$port" --user "${ONGGI_PROBE_USER:-probe}" --no-auth-warning
[ -z "${ONGGI_PROBE_CA:-}" ] || set -- "$@" --tls --cacert "$ONGGI_PROBE_CA"

answer=$(timeout -k 1 "$seconds" redis-cli "$@" ping 2>&1) && code=0 || code=$?
if [ "$answer" = PONG ]; then
  echo "ready"
  exit 0
fi
[ "$code" -ne 124 ] || answer="no answer within $seconds s"
echo "not ready: ${answer:-no answer}"
exit 1
