#!/usr/bin/env bash
# Gives Kibana's own account its password; the same password again changes nothing. Passwords go
# through files that only this process can name, since a command line is everyone's to read.
set -euo pipefail
until curl --fail --silent --show-error --cacert /kibana/ca.crt \
  --config <(printf 'user = "elastic:%s"\n' "$ELASTIC_PASSWORD") \
  --header 'Content-Type: application/json' \
  --data @<(printf '{"password":"%s"}' "$KIBANA_PASSWORD") \
  "$ELASTICSEARCH_URL/_security/user/kibana_system/_password"; do
  sleep 5
done
