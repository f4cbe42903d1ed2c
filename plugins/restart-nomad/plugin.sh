#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
fi

# --- unit: the same lines in each action that looks at a unit; a test compares them ---

# Dates as systemctl prints them in UTC can be read without another program.
export LC_ALL=C TZ=UTC

# A single call of a program gets at most this long, and not longer than the whole action.
call_seconds=10
output_chars_max=1048576
line_chars_max=500
unit_types='service|socket|target|timer|mount|automount|swap|path|slice|scope|device'
properties=Id,Description,LoadState,ActiveState,SubState,Result,UnitFileState,Type,MainPID,ExecMainStatus,NRestarts,Job
properties+=,NeedDaemonReload,ConditionResult,CanStart,RefuseManualStop,RequiredBy,BoundBy,ConsistsOf,InvocationID
properties+=,ActiveEnterTimestamp,ActiveExitTimestamp,InactiveEnterTimestamp,InactiveExitTimestamp
properties+=,ActiveEnterTimestampMonotonic,MemoryCurrent,TasksCurrent,CPUUsageNSec

declare -A properties_now
output='' status=0 lines=() missing=() unit='' log_lines=20 log='[]'

# call SECONDS COMMAND…: sets output to what the command printed and status to its exit status, 124 when it did not end in
# time. What runs as root by sudo cannot be killed from here: reading its output is bounded too, and then it is left alone.
call() {
  local seconds=$1 ended=0 reading pid
  shift
  # Bash forgets the descriptors of a coprocess that has ended, so this one begins only when they are copied.
  coproc program {
    read -r _
    exec timeout -k 1 "$seconds" "$@" </dev/null 2>&1
  }
  # shellcheck disable=SC2154
  pid=$program_PID
  exec {reading}<&"${program[0]}"
  printf '\n' >&"${program[1]}"
  output='' status=0
  IFS= read -r -d '' -n "$output_chars_max" -t $((seconds + 3)) -u "$reading" output || ended=$?
  exec {reading}<&-
  if ((ended != 1)); then kill "$pid" 2>/dev/null || :; fi
  if ((ended > 128)); then
    status=124
    return
  fi
  wait "$pid" || status=$?
  if ((status == 137)); then status=124; fi
}

# split_lines TEXT: into the array lines. Here-strings and process substitution need files or /dev/fd, which a node may lack.
split_lines() {
  local IFS=$'\n'
  set -f
  # shellcheck disable=SC2206
  lines=($1)
  set +f
}

# first_line TEXT: into the variable line.
first_line() {
  line=${1%%$'\n'*}
  line=${line:0:line_chars_max}
}

# need PROGRAM…: the action ends where one of them is missing.
need() {
  local program
  for program; do
    if ! type -P "$program" >/dev/null; then
      rune_error_kv 2 "This node has no $program" "missing=$program"
    fi
  done
}

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

# --- end of unit ---

# --- restart: the same lines in each action that restarts a unit; a test compares them ---

poll_seconds=0.2
progress_every_hundredths=500
list_items_max=256
details=() restart_command=() as=() privilege=none operation=restart before=null after=null
started_at=0 deadline=0 timeout_seconds=120 stable_seconds=3

# now: sets the variable to hundredths of a second since the node started.
now() {
  local uptime
  read -r uptime _ </proc/uptime
  uptime=${uptime/./}
  now=$((10#$uptime))
}

# waited VAR: seconds since the restart was asked for.
waited() {
  now
  printf -v "$1" '%d.%02d' $(((now - started_at) / 100)) $(((now - started_at) % 100))
}

is_active() { [[ ${properties_now[ActiveState]-} == active || ${properties_now[ActiveState]-} == reloading ]]; }

# choose_privilege: sets restart_command, and privilege and as to the way in which this user may run it.
choose_privilege() {
  restart_command=("$(type -P systemctl)" restart --no-block --no-ask-password -- "$unit")
  if ((EUID == 0)); then
    privilege=root
  elif type -P sudo >/dev/null; then
    call "$call_seconds" sudo -n -l -- ${restart_command[@]+"${restart_command[@]}"}
    if ((status == 0)); then
      privilege=sudo
      as=(sudo -n --)
    fi
  fi
}

# sudoers_line VAR: what lets this user do it.
sudoers_line() {
  local name=${unit//\\/\\\\}
  name=${name//:/\\:}
  printf -v "$1" '%s ALL=(root) NOPASSWD: %s restart --no-block --no-ask-password -- %s' "$(id -un)" \
    "${restart_command[0]}" "$name"
}

# check_before: sets before and operation; the action ends where a restart makes no sense.
check_before() {
  unit_or_error
  case ${properties_now[LoadState]} in
    loaded) ;;
    not-found) rune_error_kv 2 "This node has no unit $unit" "missing=$unit" ;;
    masked) rune_error_kv 4 "$unit is masked: systemctl unmask allows it to start again" "unit=$unit" load_state=masked ;;
    *)
      rune_error_kv 4 "The unit file of $unit cannot be used: systemd says ${properties_now[LoadState]}" "unit=$unit" \
        "load_state=${properties_now[LoadState]}"
      ;;
  esac
  if [[ ${properties_now[CanStart]-} == no ]] || { is_active && [[ ${properties_now[RefuseManualStop]-} == yes ]]; }; then
    rune_error_kv 4 "$unit may not be restarted by hand: its unit file refuses it" "unit=$unit"
  fi
  state_json before
  if ! is_active; then operation=start; fi
  entered_before=${properties_now[ActiveEnterTimestampMonotonic]-}
  needs_daemon_reload=false
  if [[ ${properties_now[NeedDaemonReload]-} == yes ]]; then
    needs_daemon_reload=true
    rune_log warn "The file of $unit has changed since systemd read it: the old version will run until systemctl daemon-reload"
  fi
  affected_units
  choose_privilege
}

# affected_units: what systemd stops and starts together with the unit, into the details.
affected_units() {
  local name names units items=() seen=' '
  names="${properties_now[RequiredBy]-} ${properties_now[BoundBy]-} ${properties_now[ConsistsOf]-}"
  for name in $names; do
    if [[ $seen != *" $name "* ]] && ((${#items[@]} < list_items_max)); then items+=("=${name:0:256}"); fi
    seen+="$name "
  done
  rune_json_array units ${items[@]+"${items[@]}"}
  details=("affected_units:=$units")
}

# answer_details: adds what every answer says, success or not, to the details.
answer_details() {
  local commands list
  rune_json_array commands "=${as[*]-}${as[0]+ }${restart_command[*]}"
  details+=("unit=$unit" "operation=$operation" "privilege=$privilege" "commands:=$commands"
    "needs_daemon_reload:=$needs_daemon_reload" "before:=$before" "after:=$after")
  if ((${#missing[@]} > 0)); then
    rune_json_array list ${missing[@]+"${missing[@]}"}
    details+=("missing:=$list")
  fi
}

# fail_restart MESSAGE: after the restart was asked for.
fail_restart() {
  local seconds
  waited seconds
  if [[ ${properties_now[ConditionResult]-} == no ]]; then set -- "$1; a condition of its unit file is not met"; fi
  if [[ ${properties_now[Result]-} == start-limit-hit ]]; then
    set -- "$1; systemd gave up because it started too often: systemctl reset-failed allows it again"
  fi
  read_log
  answer_details
  rune_error_kv 3 "$1" "log:=$log" "waited_seconds:=$seconds" ${details[@]+"${details[@]}"}
}

# ask_for_restart: systemd gets the job and goes on with it on its own, also if the plugin ends.
ask_for_restart() {
  local sudoers line
  rune_progress 10 "$unit is ${properties_now[ActiveState]}; asking systemd for a $operation"
  now
  started_at=$now deadline=$((now + timeout_seconds * 100))
  call "$call_seconds" ${as[@]+"${as[@]}"} ${restart_command[@]+"${restart_command[@]}"}
  if ((status == 0)); then return; fi
  if ((status == 124)); then
    properties_now=()
    if read_unit; then state_json after; fi
    fail_restart "systemctl restart did not return within $call_seconds s: whether systemd took the job is not known"
  fi
  first_line "$output"
  case $output in
    *'nteractive authentication required'* | *'ccess denied'* | *'ermission denied'* | *'password is required'* | \
      *'terminal is required'* | *'not allowed to '* | *'not in the sudoers file'* | *'may not run sudo'*)
      sudoers_line sudoers
      rune_error_kv 4 "This user may not restart $unit. A line in sudoers allows it: $sudoers" "unit=$unit" \
        "sudoers=$sudoers" "output=$line"
      ;;
  esac
  read_unit && state_json after
  fail_restart "systemctl restart ended with status $status: $line"
}

# await_active: until systemd is done and the unit is active. The action ends when it is not.
await_active() {
  local state shown='' shown_at=0
  while :; do
    if read_unit; then
      state=${properties_now[ActiveState]}
      if [[ ${properties_now[Job]:-0} == 0 ]]; then
        case $state in
          active | reloading) return ;;
          failed) break ;;
          inactive)
            if [[ ${properties_now[Type]-} == oneshot && ${properties_now[Result]-} == success ]]; then return; fi
            break
            ;;
        esac
      fi
      state+=/${properties_now[SubState]-}
    else
      properties_now=()
      state='in a state that systemctl does not tell'
    fi
    now
    if ((now >= deadline)); then
      if [[ -n ${properties_now[ActiveState]-} ]]; then state_json after; fi
      fail_restart "$unit did not become active within $timeout_seconds s: it is $state"
    fi
    if [[ $state != "$shown" ]] || ((now - shown_at >= progress_every_hundredths)); then
      rune_progress $((10 + 50 * (now - started_at) / (timeout_seconds * 100))) "$unit is $state"
      shown=$state shown_at=$now
    fi
    sleep "$poll_seconds"
  done
  state_json after
  fail_restart "$unit did not start: it is $state/${properties_now[SubState]-}"
}

# await_stable: as long as a unit must stay active to count as started. The action ends when it does not.
await_stable() {
  local entered=${properties_now[ActiveEnterTimestampMonotonic]-} restarts=${properties_now[NRestarts]-} until last=''
  # A oneshot without RemainAfterExit has done its work and is gone.
  if ! is_active; then return; fi
  if [[ $operation == restart && -n $entered && $entered == "$entered_before" ]]; then
    state_json after
    fail_restart "$unit still runs as before: systemd dropped the restart for another job"
  fi
  rune_progress 60 "$unit is active; watching it for $stable_seconds s"
  now
  until=$((now + stable_seconds * 100))
  while [[ -z $last ]]; do
    now
    if ((now >= until)); then last=1; else sleep "$poll_seconds"; fi
    if ! read_unit; then
      if [[ -n $last ]]; then
        properties_now=()
        fail_restart "$unit became active, but systemctl did not tell whether it stayed so"
      fi
    elif ! is_active; then
      state_json after
      fail_restart "$unit became active and did not stay so for $stable_seconds s: it is ${properties_now[ActiveState]}/${properties_now[SubState]-}"
    elif [[ ${properties_now[ActiveEnterTimestampMonotonic]-}/${properties_now[NRestarts]-} != "$entered/$restarts" ]]; then
      state_json after
      fail_restart "$unit became active, ended and was started again within $stable_seconds s: it flaps"
    fi
  done
}

# restart_and_watch: sets after and seconds.
restart_and_watch() {
  ask_for_restart
  await_active
  await_stable
  state_json after
}

# read_restart_parameters DEFAULT_UNIT: as read_parameters, with the limits.
read_restart_parameters() {
  read_parameters "$1"
  if [[ $unit != *.service ]]; then
    rune_error_kv 1 "$unit is not a service" "unit=$unit"
  fi
  rune_param -v timeout_seconds timeout_seconds 120
  rune_param -v stable_seconds stable_seconds 3
  if ((timeout_seconds < call_seconds)); then call_seconds=$timeout_seconds; fi
}

# --- end of restart ---

address='' token='' ca_cert='' client=null allocations=null allocations_total=null why='' rows=() ids=() ids_before=()

# call_nomad ARGUMENT…: the token reaches nomad alone, by its environment.
call_nomad() {
  local words=("$@")
  if [[ -n $address ]]; then words+=("-address=$address"); fi
  if [[ -n $ca_cert ]]; then words+=("-ca-cert=$ca_cert"); fi
  if [[ -n $token ]]; then
    NOMAD_TOKEN=$token call "$call_seconds" nomad ${words[@]+"${words[@]}"}
  else
    call "$call_seconds" nomad ${words[@]+"${words[@]}"}
  fi
}

# list_allocations: sets ids to this client's running allocations, rows to the first of them as JSON, and client and
# client_status. Fails with the reason in why.
list_allocations() {
  local line id='' name='' drain='' eligibility='' allocation
  rows=() ids=() client=null client_status=''
  call_nomad node status -self -short
  if ((status != 0)); then
    first_line "$output"
    why="nomad node status ended with status $status: $line"
    if ((status == 124)); then why="nomad node status did not answer within $call_seconds s"; fi
    return 1
  fi
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line =~ ^(ID|Name|Drain|Eligibility|Status)\ +=\ +(.*)$ ]]; then
      case ${BASH_REMATCH[1]} in
        ID) id=${BASH_REMATCH[2]} ;;
        Name) name=${BASH_REMATCH[2]} ;;
        Drain) drain=${BASH_REMATCH[2]} ;;
        Eligibility) eligibility=${BASH_REMATCH[2]} ;;
        Status) client_status=${BASH_REMATCH[2]} ;;
      esac
    # Allocation, node, task group, job version, desired status, status.
    elif [[ $line =~ ^([0-9a-f]{8,36})\ +[0-9a-f]{8,36}\ +([^ ].*[^ ]|[^ ])\ +([0-9]+)\ +(run|stop|evict)\ +running\  ]]; then
      ids+=("${BASH_REMATCH[1]}")
      if ((${#rows[@]} == list_items_max)); then continue; fi
      rune_json_object allocation "id=${BASH_REMATCH[1]}" "task_group=${BASH_REMATCH[2]:0:256}" \
        job_version:="$((10#${BASH_REMATCH[3]}))" "desired_status=${BASH_REMATCH[4]}"
      rows+=(":=$allocation")
    fi
  done
  if [[ -z $id || -z $client_status ]]; then
    why='nomad node status printed something else than a node'
    return 1
  fi
  rune_json_object client "id=${id:0:64}" "name=${name:0:256}" "status=${client_status:0:64}" \
    "eligibility=${eligibility:0:64}" "drain=${drain:0:256}"
}

# may_not_ask: nomad works, but does not tell this caller about a client.
may_not_ask() { [[ $why == *'ermission denied'* || $why == *'not running in client mode'* ]]; }

# list_before: what the restart affects. That nomad does not answer may be why it is restarted: then this is not known.
list_before() {
  why="$unit is ${properties_now[ActiveState]}"
  if is_active && list_allocations; then
    allocations_total=${#ids[@]} ids_before=(${ids[@]+"${ids[@]:0:list_items_max}"})
    rune_json_array allocations ${rows[@]+"${rows[@]}"}
  else
    missing+=("=allocations: $why")
  fi
}

# list_after: sets down to what ran before and does not run any more, and client. Waits until the client is ready; the
# action ends when nomad does not answer, except where it does not tell this caller about a client.
list_after() {
  local id running=' ' gone=()
  rune_progress 95 'asking nomad for its client'
  while ! list_allocations || [[ $client_status != ready ]]; do
    now
    if [[ $client == null ]] && may_not_ask; then
      missing+=("=client_after: $why")
      return
    fi
    if ((now >= deadline)); then
      if [[ $client != null ]]; then why="the client is $client_status"; fi
      fail_restart "$unit is active, but its client is not ready: $why"
    fi
    sleep "$poll_seconds"
  done
  running_after=${#ids[@]}
  for id in ${ids[@]+"${ids[@]}"}; do running+="$id "; done
  for id in ${ids_before[@]+"${ids_before[@]}"}; do
    if [[ $running != *" $id "* ]]; then gone+=("=$id"); fi
  done
  if [[ $allocations != null ]]; then rune_json_array down ${gone[@]+"${gone[@]}"}; fi
  down_count=${#gone[@]}
}

rune_init
read_restart_parameters nomad.service
rune_param -v address address ''
rune_param -v token token ''
rune_param -v ca_cert ca_cert ''
need systemctl timeout nomad

check_before
list_before
down=null running_after=null down_count=0
details+=("client_before:=$client" "allocations:=$allocations" "allocations_total:=$allocations_total")

if rune_dry_run; then
  answer_details
  message="Would $operation $unit, which is ${properties_now[ActiveState]}"
  if [[ $allocations != null ]]; then
    message+="; $allocations_total allocations run on this client"
  else
    message+='; its allocations are not known'
  fi
  rune_ok_kv "$message" ${details[@]+"${details[@]}"} waited_seconds:=null client_after:=null \
    allocations_down_after:=null running_after:=null
fi

restart_and_watch
list_after
waited seconds
answer_details
if [[ $operation == start ]]; then message="$unit was not running; started"; else message="$unit restarted"; fi
if ((down_count > 0)); then message+="; $down_count allocations that ran before do not run now"; fi
rune_ok_kv "$message" ${details[@]+"${details[@]}"} waited_seconds:="$seconds" client_after:="$client" \
  allocations_down_after:="$down" running_after:="$running_after"
