#!/bin/sh
# Is this Redis alive? Any answer is a sign of life, a refusal too: one that loads, runs a long script, has lost its primary, is full of connections
# or does not know this password would be no better after a restart, and empty. Only silence and a closed port are death.
#
# ONGGI_PROBE_HOST, _PORT, _CA (a file: TLS), _USER, _PASSWORD_FILE and _SECONDS change where and how it asks. The password comes from a file and goes
# by the environment, so that no command line shows it.
set -eu

host=${ONGGI_PROBE_HOST:-127.0.0.1}
port=${ONGGI_PROBE_PORT:-6379}
# Longer than the 5 s (busy-reply-threshold) after which a Redis in a script says BUSY; shorter than the probe's own timeoutSeconds.
seconds=${ONGGI_PROBE_SECONDS:-12}

REDISCLI_AUTH=$(cat "${ONGGI_PROBE_PASSWORD_FILE:-/run/secrets/redis-probe/password}" 2>/dev/null) || REDISCLI_AUTH=
export REDISCLI_AUTH
set -- -h "$host" -p "$port" --user "${ONGGI_PROBE_USER:-probe}" --no-auth-warning
# --insecure: it asks itself, and a certificate that has ended is not mended by a restart. probe-ready.sh looks at it.
[ -z "${ONGGI_PROBE_CA:-}" ] || set -- "$@" --tls --cacert "$ONGGI_PROBE_CA" --insecure

answer=$(timeout -k 1 "$seconds" redis-cli "$@" ping 2>&1) && code=0 || code=$?
case $answer in
  PONG) echo "alive" ;;
  *LOADING*) echo "alive: loading" ;;
  *BUSY*) echo "alive: in a long script; SCRIPT KILL ends it" ;;
  *MASTERDOWN*) echo "alive: without its primary" ;;
  *"max number of clients"*) echo "alive: no room for another connection" ;;
  *NOAUTH* | *WRONGPASS* | *NOPERM*) echo "alive: refuses the user of the probe; see the Secret redis-credentials-probe" ;;
  *)
    [ "$code" -ne 124 ] || answer="no answer within $seconds s"
    echo "dead: ${answer:-no answer}"
    exit 1
    ;;
esac
