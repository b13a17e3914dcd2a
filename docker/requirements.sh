#!/usr/bin/env bash
# What only the machine can give: says so before anything starts that would break without it.
# Elasticsearch maps its files into memory, many at once, and dies in the middle of its work where
# the kernel allows too few maps. 262144 is what its own check asks for in production.
set -euo pipefail
readonly maps_min=262144
maps=$(cat "${1:-/proc/sys/vm/max_map_count}")
if [ "$ES_ALLOW_MMAP" = true ] && [ "$maps" -lt $maps_min ]; then
  echo "vm.max_map_count is $maps on this machine, and Elasticsearch needs $maps_min: run" \
    "\`sysctl -w vm.max_map_count=$maps_min\` as root (and write it into /etc/sysctl.d), or set" \
    "ES_ALLOW_MMAP=false in .env, which is slower" >&2
  exit 1
fi
