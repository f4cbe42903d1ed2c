#!/usr/bin/env bash
# As plugins for the jq-based library are written: sources it from its own folder, prints values, sometimes whole documents.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for library in "$here/rune_bpcs.sh" "$here/lib/rune_bpcs.sh"; do
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$library"
done

rune_init
kind="$(rune_param kind "short")"
if [[ "$(rune_param fail "false")" == true ]]; then
  rune_fail 3 "asked to fail" "{\"kind\":\"$kind\"}"
fi
data="{\"kind\":\"$kind\",\"params\":$(rune_all_params),\"id\":\"$(rune_meta message_id "")\"}"
if [[ $kind == whole ]]; then
  payload="{\"result\":\"success\",\"output_data\":$data}"
  rune_emit "{\"message_metadata\":$RUNE_MESSAGE_METADATA,\"payload\":$payload,\"observability\":$RUNE_OBSERVABILITY,\"error\":null}" 0
fi
rune_ok "done" "$data"
