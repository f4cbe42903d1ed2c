# shellcheck shell=bash
# shellcheck disable=SC2154 # unit.sh, which comes first, sets what is not set here
# What the actions that restart a unit have in common, on top of unit.sh: check before, ask systemd, wait, and say what happened.

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
