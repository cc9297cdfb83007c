#!/bin/sh
# Run before a Redis is stopped (preStop). Where it is the primary it hands that over first, without losing a write: nothing is written from then on, the replicas
# catch up, a Sentinel makes one of them the primary, and this one has become a replica before the script ends. Callers wait meanwhile, for two seconds or so.
# Needs terminationGracePeriodSeconds of 60 or more.
set -eu
# shellcheck source-path=SCRIPTDIR source=common.sh
. "${ONGGI_CONFIG:-/onggi/config}/common.sh"

user=replica
password_file=${ONGGI_PASSWORD_FILE:-/run/secrets/redis-replica/password}
port=${ONGGI_PORT:-6379}
self=${ONGGI_HOST:?our own name}:${ONGGI_ANNOUNCE_PORT:-$port}
here=127.0.0.1:$port
# Seconds. The pause is the longer one: a write that got through to the old primary after the new one was chosen would be lost.
patience=30
pause=40

role() { ask "$here" ROLE | head -n 1; }

# in_step: whether some replica has all that we have.
in_step() {
  # shellcheck disable=SC2046
  set -- $(ask "$here" ROLE)
  [ "${1:-}" = master ] || return 1
  ours=$2
  shift 2
  while [ "$#" -ge 3 ]; do
    [ "$3" -lt "$ours" ] || return 0
    shift 3
  done
  return 1
}

# until_true COMMAND...: asks again and again, until the patience for all of it is at an end.
until_true() {
  while ! "$@"; do
    [ "$(date +%s)" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# The Sentinels would tell us, but their connections wait as well: what they publish here is a write.
follow() {
  ask_sentinels && [ "$primary" != "$self" ] || return 1
  [ "$(ask "$here" REPLICAOF "${primary%:*}" "${primary##*:}")" = OK ] && [ "$(role)" = slave ]
}

fail_over() {
  for sentinel in $sentinels; do
    [ "$(ask "$sentinel" SENTINEL FAILOVER "$master")" != OK ] || return 0
  done
  return 1
}

give_up() {
  ask "$here" CLIENT UNPAUSE > /dev/null || true
  say "$1; this Redis is stopped as the primary, and the Sentinels replace it when they miss it"
  exit 1
}

if [ "$(role)" != master ]; then
  say "not the primary: nothing to hand over"
  exit 0
fi

deadline=$(($(date +%s) + patience))
[ "$(ask "$here" CLIENT PAUSE "${pause}000" WRITE)" = OK ] || give_up "writes cannot be paused"
until_true in_step || give_up "no replica is in step"
until_true fail_over || give_up "no Sentinel takes over"
until_true follow || give_up "no other became the primary in time"
# What comes from the new primary would wait, too.
ask "$here" CLIENT UNPAUSE > /dev/null || true
say "handed over"
