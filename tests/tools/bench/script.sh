#!/usr/bin/env bash
# One rotation as scripts do it today: mint, put, verify, revoke. It promises nothing when it is interrupted.
# Environment: BAO_ADDR, BAO_TOKEN, HALO (base URL of the PAT API), MINTER. Argument: the credential's name.
set -euo pipefail
path="apps/$1/halo"
new="$1-$RANDOM$RANDOM$RANDOM"
json() { if command -v jq >/dev/null; then jq -r "$1"; else python3 -c '
import functools, json, re, sys
keys = re.findall(r"[A-Za-z]+|(?<=\[\")[^\"]+", sys.argv[1])
print(functools.reduce(lambda place, key: place[key], keys, json.load(sys.stdin)))' "$1"; fi; }
halo() { curl --silent --show-error --fail -H 'Accept: application/json' -H 'X-Requested-With: XMLHttpRequest' "$@"; }

old=$(bao kv get -mount=secret -field=provider_id "$path")
answer=$(halo "$HALO" -H "Authorization: Bearer $MINTER" -H 'Content-Type: application/json' \
  -d "{\"metadata\":{\"name\":\"$new\"},\"spec\":{\"name\":\"$new\",\"roles\":[\"role-template-view-posts\"]}}")
token=$(json '.metadata.annotations["security.halo.run/access-token"]' <<<"$answer")
bao kv put -mount=secret "$path" token="$token" provider_id="$new" >/dev/null
halo -o /dev/null "$HALO/$new" -H "Authorization: Bearer $token"
halo -o /dev/null -X PUT "$HALO/$old/actions/revocation" -H "Authorization: Bearer $MINTER"
