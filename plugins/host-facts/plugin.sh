#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
fi

rune_init
rune_read_only

rune_param -v message message ok
rune_ok_kv '' "message=$message"
