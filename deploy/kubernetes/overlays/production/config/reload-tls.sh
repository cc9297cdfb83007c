#!/bin/sh
# Gives a running Redis the certificate that lies in ONGGI_TLS now; connections that stand stay. Run in the pod after the Secret was renewed, or has ended:
#   kubectl exec redis-0 -- sh /onggi/config/reload-tls.sh
# A Sentinel cannot do this: start the Sentinels anew, one after the other.
set -eu
tls=${ONGGI_TLS:-/run/secrets/redis-tls}

# --insecure: it goes to ourselves, and the old certificate may have ended.
answer=$(
  REDISCLI_AUTH=$(cat "${ONGGI_CERTIFICATES_PASSWORD_FILE:-/run/secrets/redis-certificates/password}") timeout -k 1 5 redis-cli \
    -h 127.0.0.1 -p "${ONGGI_PORT:-6379}" --user certificates --no-auth-warning --tls --insecure --cacert "$tls/ca.crt" \
    CONFIG SET tls-cert-file "$tls/tls.crt" tls-key-file "$tls/tls.key" tls-ca-cert-file "$tls/ca.crt" 2>&1
) || true
echo "${answer:-no answer}"
[ "$answer" = OK ]
