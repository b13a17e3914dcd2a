#!/usr/bin/env bash
# Gives Kibana's own account its password; the same password again changes nothing. Passwords go
# through files that only this process can name, since a command line is everyone's to read.
set -euo pipefail

quoted() {
  local text=${1//\\/\\\\}
  printf '%s' "${text//\"/\\\"}"
}

curl --fail-with-body --silent --show-error --retry 10 --retry-delay 3 --retry-connrefused \
  --cacert "$ELASTIC_CA_FILE" \
  --config <(printf 'user = "elastic:%s"\n' "$(quoted "$ELASTIC_PASSWORD")") \
  --header 'Content-Type: application/json' \
  --data @<(printf '{"password":"%s"}' "$(quoted "$KIBANA_PASSWORD")") \
  "$ELASTICSEARCH_URL/_security/user/kibana_system/_password"
