#!/bin/sh
# Makes what deploy/compose.yaml needs and git must not know: passwords and users of Redis, the keys of the tokens. What is there already stays.
# ONGGI names the tool where it is not ./onggi of the repository; ONGGI_SECRETS another folder than deploy/secrets.
set -eu
umask 077
cd "$(dirname "$0")/../.."

folder=${ONGGI_SECRETS:-deploy/secrets}
tool=${ONGGI:-./onggi}
mkdir -p "$folder" deploy/textfile

random() { openssl rand -hex 32; }

# Services' passwords one by one, and the file of users with their digests.
"$tool" acl file --catalog samples/PhoneBill/keyspace.json --secrets "$folder" --out "$folder/users.acl"

[ -e "$folder/grafana-admin" ] || random >"$folder/grafana-admin"
# Nobody listens there: write an address of yours, and alerts reach it.
for url in team-url on-call-url; do
  [ -e "$folder/$url" ] || echo http://127.0.0.1:9/ >"$folder/$url"
done
[ -e "$folder/token.pem" ] || openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$folder/token.pem"
[ -e "$folder/token.pub.pem" ] || openssl pkey -in "$folder/token.pem" -pubout -out "$folder/token.pub.pem"
[ -e "$folder/personal" ] || random >"$folder/personal"
[ -e "$folder/refresh" ] || random >"$folder/refresh"

personal=$(cat "$folder/personal")
printf '{ "Onggi": { "PersonalSecret": "%s" } }\n' "$personal" >"$folder/settings.json"
printf '{ "Onggi": { "PersonalSecret": "%s", "Tokens": { "RefreshSecret": "%s" } } }\n' "$personal" "$(cat "$folder/refresh")" \
  >"$folder/settings-auth.json"
# The exporter finds passwords by address: newer ones with the user in it, older ones without.
exporter=$(cat "$folder/exporter")
printf '{ "redis://exporter@redis:6379": "%s", "redis://redis:6379": "%s" }\n' "$exporter" "$exporter" >"$folder/exporter.json"

echo "$folder is complete; only you may read it. Next: docker compose -f deploy/compose.yaml up -d --wait"
