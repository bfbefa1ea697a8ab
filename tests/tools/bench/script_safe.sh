#!/usr/bin/env bash
# The same with what a rotation needs to survive being killed: a journal written before every effect, a staged slot,
# check-and-set, proofs made with what Vault gives back, and the predecessor's 401. Recovery itself is not in it.
# Environment and argument as in script.sh.
set -euo pipefail
name=$1 path="apps/$1/halo" journal="rotator/journal/$1" staged="rotator/staged/$1"
new="$name-$RANDOM$RANDOM$RANDOM"
json() { if command -v jq >/dev/null; then jq -r "$1"; else python3 -c '
import functools, json, re, sys
keys = re.findall(r"[A-Za-z]+|(?<=\[\")[^\"]+", sys.argv[1])
print(functools.reduce(lambda place, key: place[key], keys, json.load(sys.stdin)))' "$1"; fi; }
halo() { curl --silent --show-error -H 'Accept: application/json' -H 'X-Requested-With: XMLHttpRequest' "$@"; }
get() { bao kv get -mount=secret -format=json "$@"; }
note() {  # a fact that is true from now on, over exactly the version we know
  version=$(bao kv put -mount=secret -format=json -cas="$version" "$journal" \
    phase="$1" rotation="$rotation" mint_name="$new" slot="$slot" current="$old" | json .data.version)
}
prove() { [ "$(halo -o /dev/null -w '%{http_code}' "$HALO/$1" -H "Authorization: Bearer $2")" = "$3" ]; }

record=$(get "$journal")
version=$(json .data.metadata.version <<<"$record")
slot=$(json .data.data.slot <<<"$record")
rotation=$(($(json .data.data.rotation <<<"$record") + 1))
consumer=$(get "$path")
old=$(json .data.data.provider_id <<<"$consumer")
note requested
answer=$(halo --fail "$HALO" -H "Authorization: Bearer $MINTER" -H 'Content-Type: application/json' \
  -d "{\"metadata\":{\"name\":\"$new\"},\"spec\":{\"name\":\"$new\",\"roles\":[\"role-template-view-posts\"]}}")
token=$(json '.metadata.annotations["security.halo.run/access-token"]' <<<"$answer")
slot=$(bao kv put -mount=secret -format=json -cas="$slot" "$staged" value="$token" id="$new" | json .data.version)
note staged
token=$(get "$staged" | json .data.data.value)
prove "$new" "$token" 200
expected=$(json .data.metadata.version <<<"$consumer")
note verified
[ "$(get "$path" | json .data.metadata.version)" = "$expected" ]
bao kv put -mount=secret -cas="$expected" "$path" token="$token" provider_id="$new" rotation="$rotation" >/dev/null
note published
token=$(get "$path" | json .data.data.token)
prove "$new" "$token" 200
note condemned
halo --fail -o /dev/null -X PUT "$HALO/$old/actions/revocation" -H "Authorization: Bearer $MINTER"
prove "$old" "$(get -version="$expected" "$path" | json .data.data.token)" 401
note retired
bao kv destroy -mount=secret -versions="$slot" "$staged" >/dev/null
old=$new
note settled
