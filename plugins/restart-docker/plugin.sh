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

containers=null containers_total=null live_restore=null why='' ids=() rows=() row_ids=() names=() stays_down=0 docker_as=()

# call_docker ARGUMENT…: as this user, or by sudo where only that is allowed.
call_docker() {
  call "$call_seconds" ${docker_as[@]+"${docker_as[@]}"} "$docker" "$@"
  if ((status != 0 && EUID != 0)) && [[ ${#docker_as[@]} -eq 0 && $output == *'permission denied'* ]]; then
    local refusal=$output
    if type -P sudo >/dev/null; then
      call "$call_seconds" sudo -n -l -- "$docker" "$@"
      if ((status == 0)); then
        docker_as=(sudo -n --)
        call "$call_seconds" sudo -n -- "$docker" "$@"
        return
      fi
    fi
    output=$refusal status=1
  fi
}

# docker_failed COMMAND: sets why.
docker_failed() {
  local line
  first_line "$output"
  why="$1 ended with status $status: $line"
  if ((status == 124)); then why="$1 did not answer within $call_seconds s"; fi
}

# list_running: sets ids to the running containers. Fails with the reason in why.
list_running() {
  local line
  ids=()
  call_docker ps --quiet --no-trunc
  if ((status != 0)); then
    docker_failed 'docker ps'
    return 1
  fi
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line =~ ^[0-9a-f]{12,64}$ ]]; then ids+=("$line"); fi
  done
}

# describe_running: sets rows to the first of them as JSON, row_ids and names to go with them, and stays_down to how many do
# not come back with the daemon. Fails with the reason in why.
describe_running() {
  local line policy container
  if ((${#ids[@]} == 0)); then return; fi
  call_docker container inspect --format '{{.Id}} {{.HostConfig.RestartPolicy.Name}} {{.Config.Image}} {{.Name}}' -- \
    "${ids[@]:0:list_items_max}"
  split_lines "$output"
  # A container that ended meanwhile makes docker fail, although it describes the others.
  for line in ${lines[@]+"${lines[@]}"}; do
    [[ $line =~ ^([0-9a-f]{12,64})\ ([a-z-]*)\ ([^ ]+)\ /?([^ ]+)$ ]] || continue
    policy=${BASH_REMATCH[2]:-no}
    row_ids+=("${BASH_REMATCH[1]}")
    names+=("${BASH_REMATCH[4]}")
    if [[ $policy != always && $policy != unless-stopped ]]; then stays_down=$((stays_down + 1)); fi
    rune_json_object container "id=${BASH_REMATCH[1]:0:12}" "name=${BASH_REMATCH[4]:0:256}" \
      "image=${BASH_REMATCH[3]:0:512}" "restart_policy=$policy"
    rows+=(":=$container")
  done
  if ((${#rows[@]} == 0 && status != 0)); then
    docker_failed 'docker container inspect'
    return 1
  fi
}

# list_before: what the restart affects. That docker does not answer may be why it is restarted: then this is not known.
list_before() {
  why="$unit is ${properties_now[ActiveState]}"
  if ! is_active || ! list_running || ! describe_running; then
    missing+=("=containers: $why")
    return
  fi
  containers_total=${#ids[@]}
  rune_json_array containers ${rows[@]+"${rows[@]}"}
  call_docker info --format '{{.LiveRestoreEnabled}}'
  case $status/${output%$'\n'} in
    0/true | 0/false) live_restore=${output%$'\n'} ;;
    *)
      docker_failed 'docker info'
      missing+=("=live_restore: $why")
      ;;
  esac
}

# list_after: sets down to what ran before and does not run any more. The action ends when docker does not answer, except
# where this user may not ask it.
list_after() {
  local i running=' ' gone=()
  rune_progress 95 'asking docker for its containers'
  while ! list_running; do
    now
    if [[ $why == *'permission denied'* ]]; then
      missing+=("=containers_down_after: $why")
      return
    fi
    if ((now >= deadline)); then fail_restart "$unit is active, but docker does not answer: $why"; fi
    sleep "$poll_seconds"
  done
  running_after=${#ids[@]}
  for i in ${ids[@]+"${ids[@]}"}; do running+="$i "; done
  for ((i = 0; i < ${#row_ids[@]}; i++)); do
    if [[ $running != *" ${row_ids[i]} "* ]]; then gone+=("=${names[i]:0:256}"); fi
  done
  if [[ $containers != null ]]; then rune_json_array down ${gone[@]+"${gone[@]}"}; fi
  down_count=${#gone[@]}
}

rune_init
read_restart_parameters docker.service
need systemctl timeout docker
docker=$(type -P docker)

check_before
list_before
down=null running_after=null down_count=0
details+=("containers:=$containers" "containers_total:=$containers_total" "live_restore:=$live_restore")

if rune_dry_run; then
  answer_details
  message="Would $operation $unit, which is ${properties_now[ActiveState]}"
  if [[ $containers == null ]]; then
    message+='; its containers are not known'
  else
    message+="; $containers_total containers run"
    if [[ $live_restore == true ]]; then
      message+=' and would go on'
    elif ((containers_total > 0)); then
      message+=", $stays_down of them would stay down"
    fi
  fi
  rune_ok_kv "$message" ${details[@]+"${details[@]}"} waited_seconds:=null containers_down_after:=null \
    running_after:=null
fi

restart_and_watch
list_after
waited seconds
answer_details
if [[ $operation == start ]]; then message="$unit was not running; started"; else message="$unit restarted"; fi
if ((down_count > 0)); then message+="; $down_count containers that ran before do not run now"; fi
rune_ok_kv "$message" ${details[@]+"${details[@]}"} waited_seconds:="$seconds" containers_down_after:="$down" \
  running_after:="$running_after"
