#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
  # shellcheck source=plugins/lib/call.sh
  source "$(dirname "$0")/lib/call.sh"
  # shellcheck source=plugins/lib/unit.sh
  source "$(dirname "$0")/lib/unit.sh"
  # shellcheck source=plugins/lib/restart.sh
  source "$(dirname "$0")/lib/restart.sh"
fi

rune_init
read_restart_parameters ''
need systemctl timeout

check_before
if rune_dry_run; then
  answer_details
  rune_ok_kv "Would $operation $unit, which is ${properties_now[ActiveState]}" ${details[@]+"${details[@]}"} \
    waited_seconds:=null
fi

restart_and_watch
waited seconds
answer_details
if [[ $operation == start ]]; then message="$unit was not running; started"; else message="$unit restarted"; fi
rune_ok_kv "$message" ${details[@]+"${details[@]}"} waited_seconds:="$seconds"
