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
