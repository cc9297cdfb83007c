# shellcheck shell=sh disable=SC2034
# What the scripts share that start and stop the Redis servers and the Sentinels of a replicated set. Sourced by them, never run.
#
# They are told by the environment:
#   ONGGI_HOST       our own name, as all others reach us: redis-0.redis-headless.phonebill.svc
#   ONGGI_PORT       where we listen: 6379, Sentinels 26379
#   ONGGI_ANNOUNCE_PORT  the port by which others reach us; the same otherwise
#   ONGGI_BIND       addresses to listen on; those of redis.conf otherwise
#   ONGGI_PEERS      all Redis servers of the set, we among them: host:port, with spaces between; of a new set the first one is the primary
#   ONGGI_SENTINELS  all Sentinels: host:port, with spaces between
#   ONGGI_MASTER     the name under which the Sentinels watch the primary: phonebill
#   ONGGI_CONFIG     the folder of these files, read only: /onggi/config
#   ONGGI_DATA       a folder of our own, which outlives the process: /data
#   ONGGI_ACL        the folder with users.acl and sentinel.acl: /run/secrets/redis-acl
#   ONGGI_TLS        the folder with ca.crt, tls.crt and tls.key: /run/secrets/redis-tls
#   ONGGI_PASSWORD_FILE  the password of the user that we are: replica, or sentinel
#   ONGGI_PATIENCE   rounds of a second in which nobody answers until a server believes that it is alone: 20
# Nothing secret goes over a command line.

# Whoever sources this says who he is at Redis and the Sentinels, and his own host:port.
user='' password_file='' self=''
config=${ONGGI_CONFIG:-/onggi/config}
data=${ONGGI_DATA:-/data}
acl=${ONGGI_ACL:-/run/secrets/redis-acl}
tls=${ONGGI_TLS:-/run/secrets/redis-tls}
master=${ONGGI_MASTER:-phonebill}
peers=${ONGGI_PEERS:?all Redis servers, host:port with spaces between}
sentinels=${ONGGI_SENTINELS:?all Sentinels, host:port with spaces between}

say() { echo "onggi: $*" >&2; }

# settings_of FILE: its lines, but for those that we say ourselves. It is not enough to say them later: a folder is entered where it is named.
settings_of() {
  sed -E -e 's/^(dir|aclfile|tls-port|tls-cert-file|tls-key-file|tls-ca-cert-file) /# below: &/' ${ONGGI_BIND:+-e 's/^bind /# below: &/'} "$config/$1"
  [ -z "${ONGGI_BIND:-}" ] || echo "bind $ONGGI_BIND"
}

# ask HOST:PORT COMMAND...: what it answers, a line for each part. Who hangs is left after 2 s: a kernel takes connections for a stopped process, too.
ask() {
  server=$1
  shift
  REDISCLI_AUTH=$(cat "$password_file") timeout -k 1 2 redis-cli -h "${server%:*}" -p "${server##*:}" \
    --user "$user" --no-auth-warning --tls --cacert "$tls/ca.crt" "$@" 2> /dev/null
}

# ask_sentinels: the primary that the Sentinels name (primary), how many replicas it has (replicas), whether they are about to replace it (failing).
# Fails when none answers. They can differ for a moment: the one with the highest epoch knows best.
ask_sentinels() {
  primary='' replicas=0 failing='' best=-1
  for sentinel in $sentinels; do
    answer=$(ask "$sentinel" SENTINEL MASTER "$master" | named) || continue
    # shellcheck disable=SC2086
    set -- $answer
    [ "$#" = 4 ] || continue
    case $4 in *o_down* | *failover_in_progress*) failing=yes ;; esac
    if [ "$1" -gt "$best" ]; then best=$1 replicas=$2 primary=$3; fi
  done
  [ -n "$primary" ]
}

# Of the reply of SENTINEL MASTER, names and values in turn: epoch, number of replicas, host:port, flags.
named() {
  host='' port='' epoch='' known='' flags=''
  while IFS= read -r field && IFS= read -r value; do
    case $field in
      ip) host=$value ;;
      port) port=$value ;;
      flags) flags=$value ;;
      config-epoch) epoch=$value ;;
      num-slaves) known=$value ;;
    esac
  done
  [ -n "$host" ] && echo "$epoch $known $host:$port $flags"
}

# ask_peers: the primary, by the word of the other Redis servers. Who says that it is one and has no replicas may be one of yesterday: then whom the others
# follow counts more. Fails when none answers, or none knows.
ask_peers() {
  primary='' followed='' best=-1
  for peer in $peers; do
    [ "$peer" != "$self" ] || continue
    # shellcheck disable=SC2046
    set -- $(ask "$peer" ROLE)
    case ${1:-} in
      master)
        # The role, the offset, and three words for each replica.
        count=$((($# - 2) / 3))
        if [ "$count" -gt "$best" ]; then best=$count primary=$peer; fi
        ;;
      slave) followed=$2:$3 ;;
    esac
  done
  if [ "$best" -lt 1 ] && [ -n "$followed" ]; then primary=$followed; fi
  [ -n "$primary" ]
}
