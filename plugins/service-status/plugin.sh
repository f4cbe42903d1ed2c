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
fi

rune_init
rune_read_only
read_parameters ''
rune_param -v call_seconds timeout_seconds 10
need systemctl timeout

unit_or_error
state='' memory='' tasks='' cpu=''
state_json state
active=false
if [[ ${properties_now[ActiveState]} == active || ${properties_now[ActiveState]} == reloading ]]; then active=true; fi
needs_daemon_reload=false
if [[ ${properties_now[NeedDaemonReload]-} == yes ]]; then needs_daemon_reload=true; fi
number memory "${properties_now[MemoryCurrent]-}"
number tasks "${properties_now[TasksCurrent]-}"
number cpu "${properties_now[CPUUsageNSec]-}"
if [[ $cpu != null ]]; then
  printf -v cpu '%d.%03d' $((cpu / 1000000000)) $((cpu / 1000000 % 1000))
fi
message="$unit is ${properties_now[ActiveState]}"
if [[ ${properties_now[LoadState]} == loaded ]]; then
  read_log
else
  message+=": systemd says ${properties_now[LoadState]}"
  log='[]'
fi

if ((${#missing[@]} > 0)); then
  list=''
  rune_json_array list ${missing[@]+"${missing[@]}"}
  rune_out missing:="$list"
fi
rune_out unit="$unit"
rune_out description="${properties_now[Description]-}"
rune_out load_state="${properties_now[LoadState]}"
rune_out unit_file_state="${properties_now[UnitFileState]-}"
rune_out active:="$active"
rune_out state:="$state"
rune_out needs_daemon_reload:="$needs_daemon_reload"
rune_out memory_bytes:="$memory"
rune_out tasks:="$tasks"
rune_out cpu_seconds:="$cpu"
rune_out log:="$log"
rune_finish "$message"
