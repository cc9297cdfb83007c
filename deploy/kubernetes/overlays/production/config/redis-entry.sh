#!/bin/sh
# Starts one Redis of a replicated set. Asks first who the primary is: an old primary that comes back is a replica from its first moment on.
#
# redis.conf is mounted read only, and Redis writes its role into its file: so it gets a copy in ONGGI_DATA, made anew at each start.
#
# 1. The Sentinels name another: it is followed.
# 2. They name us. We have our data: we go on as the primary. What Redis has confirmed stands in the append-only file before the answer leaves, so a process that
#    ended and came back has lost nothing, and its replicas may have less. But when our disk is empty, all replicas would copy that: we wait until another
#    is chosen. Only where they know of no replica nothing can be lost: a new set.
# 3. No Sentinel answers: the other servers are asked. Nobody answers at all: we are what we were. Who was nothing yet waits, except for the first of the list.
set -eu
umask 077
# shellcheck source-path=SCRIPTDIR source=common.sh
. "${ONGGI_CONFIG:-/onggi/config}/common.sh"

user=replica
password_file=${ONGGI_PASSWORD_FILE:-/run/secrets/redis-replica/password}
port=${ONGGI_PORT:-6379}
announced=${ONGGI_ANNOUNCE_PORT:-$port}
self=${ONGGI_HOST:?our own name}:$announced
patience=${ONGGI_PATIENCE:-20}
conf=$data/redis.conf

has_data() { [ -s "$data/dump.rdb" ] || ls "$data"/appendonlydir/*.manifest > /dev/null 2>&1; }

# remember: the primary of our last life, from the file that Redis rewrote then.
remember() {
  [ -f "$conf" ] || return 1
  # shellcheck disable=SC2046
  set -- $(grep '^replicaof ' "$conf" | tail -n 1)
  if [ "$#" = 3 ]; then primary=$2:$3; else primary=$self; fi
}

# Whether the Sentinels' answer is one to start with; see 1 and 2 above.
may_start() {
  [ "$primary" != "$self" ] && return 0
  [ -n "${ONGGI_START_EMPTY:-}" ] && return 0
  if [ -n "$failing" ] && [ "$round" -lt "$patience" ]; then
    reason="the Sentinels are replacing us"
    return 1
  fi
  has_data && return 0
  [ "$replicas" = 0 ] && return 0
  reason="the Sentinels name us as the primary, and our disk is empty: all replicas would copy that. Waiting until they choose another (ONGGI_START_EMPTY=yes starts all the same)"
  return 1
}

find_primary() {
  round=0
  while :; do
    reason="nobody answers: neither a Sentinel nor another Redis"
    if ask_sentinels; then
      ! may_start || return 0
    elif ask_peers; then
      # They follow us, and no Sentinel runs: with our data we are it again; without, see 2.
      [ "$primary" = "$self" ] || return 0
      ! has_data || return 0
      reason="the others follow us, and our disk is empty"
    elif [ "$round" -ge "$patience" ]; then
      if remember && { [ "$primary" != "$self" ] || has_data; }; then return 0; fi
      primary=$self
      [ "$self" != "${peers%% *}" ] || return 0
      reason="nobody answers, and we are not the first of the set"
    fi
    [ $((round % 10)) -ne 0 ] || say "$reason"
    round=$((round + 1))
    sleep 1
  done
}

write_conf() {
  {
    settings_of redis.conf
    echo
    echo "# What redis-entry.sh writes at each start."
    echo
    echo "tls-port $port"
    echo "tls-cert-file \"$tls/tls.crt\""
    echo "tls-key-file \"$tls/tls.key\""
    echo "tls-ca-cert-file \"$tls/ca.crt\""
    echo "dir \"$data\""
    echo "aclfile \"$acl/users.acl\""
    echo "replica-announce-ip \"$ONGGI_HOST\""
    echo "replica-announce-port $announced"
    echo "masterauth \"$(cat "$password_file")\""
    [ "$primary" = "$self" ] || echo "replicaof ${primary%:*} ${primary##*:}"
  } > "$conf.new"
  mv "$conf.new" "$conf"
}

find_primary
if [ "$primary" = "$self" ]; then say "$self starts as the primary"; else say "$self starts as a replica of $primary"; fi
write_conf
exec "${ONGGI_REDIS_SERVER:-redis-server}" "$conf"
