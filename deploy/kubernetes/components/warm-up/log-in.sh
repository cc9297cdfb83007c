#!/bin/sh
# Logs in at Auth and leaves the token in a file for onggi warm. The password comes from a file, goes over standard input, and is on no command line.
# ONGGI_LOGIN_URL, ONGGI_LOGIN_FILE ({"userId":"…","password":"…"}) and ONGGI_TOKEN_FILE change from where to where.
set -eu
umask 077

url=${ONGGI_LOGIN_URL:-http://auth:8080/api/login}
login=${ONGGI_LOGIN_FILE:-/run/secrets/login/login.json}
file=${ONGGI_TOKEN_FILE:-/run/token/token}

answer=$(curl --fail --silent --show-error --max-time 10 --retry 5 --retry-connrefused --retry-max-time 60 \
  --header 'Content-Type: application/json' --data-binary @- "$url" <"$login") || {
  echo "no login at $url; is the Secret phonebill-warm-up right?" >&2
  exit 1
}
token=$(printf '%s' "$answer" | sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p')
[ -n "$token" ] || {
  echo "$url answered, but not with a token" >&2
  exit 1
}
printf '%s' "$token" >"$file"
echo "logged in at $url"
