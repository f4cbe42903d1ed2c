# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # call.sh sets what is not set here, and those who come after it read what it sets
# What the actions on systemd units have in common: looking at a unit, and at what it logged. call.sh comes first.

# A single call of a program gets at most this long, and not longer than the whole action.
call_seconds=10
unit_types='service|socket|target|timer|mount|automount|swap|path|slice|scope|device'
properties=Id,Description,LoadState,ActiveState,SubState,Result,UnitFileState,Type,MainPID,ExecMainStatus,NRestarts,Job
properties+=,NeedDaemonReload,ConditionResult,CanStart,RefuseManualStop,RequiredBy,BoundBy,ConsistsOf,InvocationID
properties+=,ActiveEnterTimestamp,ActiveExitTimestamp,InactiveEnterTimestamp,InactiveExitTimestamp
properties+=,ActiveEnterTimestampMonotonic,MemoryCurrent,TasksCurrent,CPUUsageNSec

declare -A properties_now
missing=() unit='' log_lines=20 log='[]'

# read_parameters DEFAULT_UNIT: sets unit, with the suffix that systemctl would add, and log_lines.
read_parameters() {
  rune_param -v unit unit "$1"
  rune_param -v log_lines log_lines 20
  if ! [[ $unit =~ ^[A-Za-z0-9_:][A-Za-z0-9_.:\\@-]*$ ]]; then
    rune_error_kv 1 'The parameter unit is not the name of a unit' "unit=$unit"
  fi
  if ! [[ $unit =~ [.]($unit_types)$ ]]; then unit+=.service; fi
  if [[ $unit =~ @[.]($unit_types)$ ]]; then
    rune_error_kv 1 "$unit is a template: name one of its instances, such as ${unit/@./@name.}" "unit=$unit"
  fi
}

# read_unit: sets properties_now. Fails when systemctl did not tell.
read_unit() {
  local line
  call "$call_seconds" systemctl show --no-pager "--property=$properties" -- "$unit"
  ((status == 0)) || return 1
  properties_now=()
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line == [A-Z]*=* ]]; then properties_now[${line%%=*}]=${line#*=}; fi
  done
  [[ -n ${properties_now[ActiveState]-} && -n ${properties_now[LoadState]-} ]]
}

# unit_or_error: read_unit, and the action ends when that fails. Nothing has been changed yet.
unit_or_error() {
  local line
  if read_unit; then return; fi
  if [[ $output == *'not been booted with systemd'* ]]; then
    rune_error_kv 2 'systemd does not run on this node' 'missing=systemd' "output=${output:0:line_chars_max}"
  fi
  if ((status == 124)); then
    rune_error_kv 3 "systemctl show did not answer within $call_seconds s; nothing was changed" "unit=$unit" \
      "timeout_seconds:=$call_seconds"
  fi
  first_line "$output"
  rune_error_kv 3 "systemctl show ended with status $status: $line; nothing was changed" "unit=$unit" "exit_status:=$status"
}

# number VAR TEXT: as JSON. systemd says [not set] or the largest number for what it does not know.
number() {
  case $2 in
    '' | *[!0-9]* | 18446744073709551615) printf -v "$1" null ;;
    *) printf -v "$1" %s "$2" ;;
  esac
}

# state_json VAR: the state of the unit that was read last.
state_json() {
  local main_pid exit_status restarts changed since=null
  number main_pid "${properties_now[MainPID]-}"
  if [[ $main_pid == 0 ]]; then main_pid=null; fi
  number exit_status "${properties_now[ExecMainStatus]-}"
  number restarts "${properties_now[NRestarts]-}"
  case ${properties_now[ActiveState]} in
    active | reloading) changed=${properties_now[ActiveEnterTimestamp]-} ;;
    activating) changed=${properties_now[InactiveExitTimestamp]-} ;;
    deactivating) changed=${properties_now[ActiveExitTimestamp]-} ;;
    *) changed=${properties_now[InactiveEnterTimestamp]-} ;;
  esac
  if [[ $changed =~ ([0-9]{4}-[0-9]{2}-[0-9]{2})\ ([0-9]{2}:[0-9]{2}:[0-9]{2})\ UTC$ ]]; then
    since=\"${BASH_REMATCH[1]}T${BASH_REMATCH[2]}Z\"
  fi
  rune_json_object "$1" "active_state=${properties_now[ActiveState]}" "sub_state=${properties_now[SubState]-}" \
    "result=${properties_now[Result]-}" main_pid:="$main_pid" exit_status:="$exit_status" restarts:="$restarts" \
    since:="$since"
}

# lines_json VAR TEXT: its last lines as a list.
lines_json() {
  local i from items=()
  split_lines "$2"
  from=$((${#lines[@]} > log_lines ? ${#lines[@]} - log_lines : 0))
  for ((i = from; i < ${#lines[@]}; i++)); do items+=("=${lines[i]:0:line_chars_max}"); done
  rune_json_array "$1" ${items[@]+"${items[@]}"}
}

# read_log: sets log to the unit's last journal lines; where the journal says nothing, to those of systemctl status.
read_log() {
  log='[]'
  if ((log_lines == 0)); then return; fi
  if type -P journalctl >/dev/null; then
    call "$call_seconds" journalctl --no-pager --quiet --output=short-iso "--lines=$log_lines" "--unit=$unit"
    if ((status == 0)) && [[ -n $output ]]; then
      lines_json log "$output"
      return
    fi
    if ((status == 124)); then missing+=("=log: journalctl did not answer within $call_seconds s"); fi
  fi
  call "$call_seconds" systemctl status --no-pager --full "--lines=$log_lines" -- "$unit"
  if ((status == 124)); then
    missing+=("=log: systemctl status did not answer within $call_seconds s")
  else
    lines_json log "$output"
  fi
}
