#!/usr/bin/env bash
# Draws an authority, and a certificate for Elasticsearch and for Kibana, onto the volumes, once.
# What clients read comes last: its presence says that the rest is there.
set -euo pipefail
if [ -f /authority/ca.crt ]; then exit 0; fi

draft=$(mktemp -d)
bin/elasticsearch-certutil ca --silent --pem --days 3650 --out "$draft/ca.zip"
unzip -q "$draft/ca.zip" -d "$draft"
for name in elasticsearch kibana; do
  bin/elasticsearch-certutil cert --silent --pem --days 3650 --name "$name" \
    --dns "$name.$DOMAIN" --dns localhost --ip 127.0.0.1 \
    --ca-cert "$draft/ca/ca.crt" --ca-key "$draft/ca/ca.key" --out "$draft/$name.zip"
  unzip -q "$draft/$name.zip" -d "$draft"
  install -m 640 "$draft/$name/$name.key" "/$name/server.key"
  install -m 644 "$draft/$name/$name.crt" "/$name/server.crt"
  install -m 644 "$draft/ca/ca.crt" "/$name/ca.crt"
done

# One object of JSON for Secrets Manager; a PEM file has no character but line ends to be escaped.
escaped() { awk '{ printf "%s\\n", $0 }' "$1"; }
{
  printf '{"ca_certificate":"%s","ca_key":"%s"' \
    "$(escaped "$draft/ca/ca.crt")" "$(escaped "$draft/ca/ca.key")"
  for name in elasticsearch kibana; do
    printf ',"%s_certificate":"%s","%s_key":"%s"' \
      "$name" "$(escaped "/$name/server.crt")" "$name" "$(escaped "/$name/server.key")"
  done
  printf '}'
} > /elasticsearch/unpublished.json
chmod 600 /elasticsearch/unpublished.json

install -m 644 "$draft/ca/ca.crt" /authority/ca.crt
rm -r "$draft"
