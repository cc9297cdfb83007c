#!/bin/sh
# Starts one Sentinel. A Sentinel keeps what it knows in its own file: whom it watches, the others, the epochs. So the file of the last life in ONGGI_DATA is kept in
# part: settings are those of sentinel.conf, which may be newer, and what it has learnt is its own. Without one it asks the other Sentinels, then the Redis servers.
set -eu
umask 077
# shellcheck source-path=SCRIPTDIR source=common.sh
. "${ONGGI_CONFIG:-/onggi/config}/common.sh"

user=sentinel
password_file=${ONGGI_PASSWORD_FILE:-/run/secrets/redis-sentinel/password}
port=${ONGGI_PORT:-26379}
self=${ONGGI_HOST:?our own name}:${ONGGI_ANNOUNCE_PORT:-$port}
conf=$data/sentinel.conf
password=$(cat "$password_file")

learnt=''
primary=''
if [ -f "$conf" ]; then
  learnt=$(grep -E '^sentinel (myid|current-epoch|config-epoch|leader-epoch|known-replica|known-sentinel) ' "$conf") || learnt=''
  # shellcheck disable=SC2046
  set -- $(grep "^sentinel monitor $master " "$conf" | tail -n 1)
  [ "$#" -lt 5 ] || primary=$4:$5
fi

round=0
until [ -n "$primary" ] || ask_sentinels || ask_peers; do
  [ $((round % 10)) -ne 0 ] || say "waiting for a primary to watch"
  round=$((round + 1))
  sleep 1
done

# More than half of them must agree that a primary is down.
# shellcheck disable=SC2086
set -- $sentinels
quorum=$(($# / 2 + 1))

{
  settings_of sentinel.conf
  echo
  echo "# What sentinel-entry.sh writes at each start."
  echo
  echo "tls-port $port"
  echo "tls-cert-file \"$tls/tls.crt\""
  echo "tls-key-file \"$tls/tls.key\""
  echo "tls-ca-cert-file \"$tls/ca.crt\""
  echo "dir \"$data\""
  echo "aclfile \"$acl/sentinel.acl\""
  echo "sentinel announce-ip \"$ONGGI_HOST\""
  echo "sentinel announce-port ${self##*:}"
  echo "sentinel sentinel-pass $password"
  echo "sentinel monitor $master ${primary%:*} ${primary##*:} $quorum"
  echo "sentinel auth-pass $master $password"
  # For drills, where 5 s are long.
  [ -z "${ONGGI_DOWN_AFTER_MS:-}" ] || echo "sentinel down-after-milliseconds $master $ONGGI_DOWN_AFTER_MS"
  [ -z "$learnt" ] || printf '%s\n' "$learnt"
} > "$conf.new"
mv "$conf.new" "$conf"

say "$self watches $primary, with a quorum of $quorum"
exec "${ONGGI_REDIS_SERVER:-redis-server}" "$conf" --sentinel
