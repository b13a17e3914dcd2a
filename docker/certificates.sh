#!/usr/bin/env bash
# Draws an authority and Elasticsearch's certificate into the volume, once. The authority's key
# never leaves the volume; its certificate is what every client of Elasticsearch trusts.
set -euo pipefail
folder=/certs
if [ -f $folder/elasticsearch/elasticsearch.key ]; then exit 0; fi

draft=$(mktemp -d)
bin/elasticsearch-certutil ca --silent --pem --out "$draft/ca.zip"
unzip -q "$draft/ca.zip" -d "$draft"
bin/elasticsearch-certutil cert --silent --pem --name elasticsearch \
  --dns elasticsearch --dns localhost --ip 127.0.0.1 \
  --ca-cert "$draft/ca/ca.crt" --ca-key "$draft/ca/ca.key" --out "$draft/elasticsearch.zip"
unzip -q "$draft/elasticsearch.zip" -d "$draft"

# Elasticsearch reads its key as a member of group root; Tahoe and Kibana read the authority only.
# The key of the server comes last: its presence says that the rest is there.
mkdir -p $folder/ca $folder/elasticsearch
install -m 644 "$draft/ca/ca.crt" $folder/ca/
install -m 600 "$draft/ca/ca.key" $folder/ca/
install -m 644 "$draft/elasticsearch/elasticsearch.crt" $folder/elasticsearch/
install -m 640 "$draft/elasticsearch/elasticsearch.key" $folder/elasticsearch/
rm -r "$draft"
