#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
fi

# Each command that may hang (df on a dead network mount, systemctl without its bus) gets this long.
wait_seconds=8
list_items_max=256

missing=()

# Runs a command for at most wait_seconds where the node has timeout.
bounded() {
  if type -P timeout >/dev/null; then
    timeout -k 1 "$wait_seconds" "$@"
  else
    "$@"
  fi
}

# percent VAR USED TOTAL: one decimal, 0 of nothing is 0.
percent() {
  local tenths=0
  if (($3 > 0)); then tenths=$((($2 * 1000 + $3 / 2) / $3)); fi
  if ((tenths > 1000)); then tenths=1000; fi
  printf -v "$1" '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# os_value VAR TEXT: what the shell-like quoting of os-release means, as JSON.
os_value() {
  local text=$2
  case $text in
    \"*\") text=${text:1:${#text}-2} ;;
    \'*\') text=${text:1:${#text}-2} ;;
  esac
  text=${text//\\\"/\"}
  text=${text//\\\$/\$}
  text=${text//\\\`/\`}
  text=${text//\\\\/\\}
  rune_json_string "$1" "${text:0:256}"
}

read_os() {
  local id=null version=null name=null os='' file line
  for file in /etc/os-release /usr/lib/os-release; do
    [[ -r $file ]] || continue
    while IFS= read -r line || [[ -n $line ]]; do
      case $line in
        ID=*) os_value id "${line#*=}" ;;
        VERSION_ID=*) os_value version "${line#*=}" ;;
        PRETTY_NAME=*) os_value name "${line#*=}" ;;
      esac
    done <"$file"
    break
  done
  rune_json_object os id:="$id" version:="$version" name:="$name"
  rune_out os:="$os"
}

read_kernel() {
  local hostname=${HOSTNAME:-unknown} kernel=unknown
  if [[ -r /proc/sys/kernel/hostname ]]; then IFS= read -r hostname </proc/sys/kernel/hostname || :; fi
  if [[ -r /proc/sys/kernel/osrelease ]]; then IFS= read -r kernel </proc/sys/kernel/osrelease || :; fi
  rune_out hostname="$hostname"
  rune_out kernel="$kernel"
  rune_out architecture="$(uname -m)"
}

read_processors() {
  local count=0 line
  while IFS= read -r line; do
    if [[ $line == cpu[0-9]* ]]; then count=$((count + 1)); fi
  done </proc/stat
  rune_out cpu_count:="$count"
}

read_load() {
  local uptime one five fifteen load rest
  # shellcheck disable=SC2034
  read -r uptime rest </proc/uptime
  read -r one five fifteen rest </proc/loadavg
  rune_json_object load one_minute:="$one" five_minutes:="$five" fifteen_minutes:="$fifteen"
  rune_out uptime_seconds:="$uptime"
  rune_out load:="$load"
}

read_memory() {
  local total=0 free=0 available='' buffers=0 cached=0 swap_total=0 swap_free=0 name value rest used memory swap
  # shellcheck disable=SC2034
  while read -r name value rest; do
    case $name in
      MemTotal:) total=$value ;;
      MemFree:) free=$value ;;
      MemAvailable:) available=$value ;;
      Buffers:) buffers=$value ;;
      Cached:) cached=$value ;;
      SwapTotal:) swap_total=$value ;;
      SwapFree:) swap_free=$value ;;
    esac
  done </proc/meminfo
  # Kernels before 3.14 do not estimate what is available.
  if [[ -z $available ]]; then available=$((free + buffers + cached)); fi
  percent used $((total - available)) "$total"
  rune_json_object memory total_bytes:=$((total * 1024)) available_bytes:=$((available * 1024)) used_percent:="$used"
  percent used $((swap_total - swap_free)) "$swap_total"
  rune_json_object swap total_bytes:=$((swap_total * 1024)) free_bytes:=$((swap_free * 1024)) used_percent:="$used"
  rune_out memory:="$memory"
  rune_out swap:="$swap"
}

read_disks() {
  local output status=0 line device size used available mount share='' disk='' disks=''
  local lines=() rows=() columns='^(.*[^ ]) +([0-9]+) +([0-9]+) +([0-9]+) +[0-9]+% (.*)$'
  # One file system that cannot be read fails df, although it lists the others.
  output=$(LC_ALL=C bounded df -P -k 2>/dev/null) || status=$?
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    [[ $line =~ $columns ]] || continue
    device=${BASH_REMATCH[1]} size=${BASH_REMATCH[2]} used=${BASH_REMATCH[3]} available=${BASH_REMATCH[4]} mount=${BASH_REMATCH[5]}
    ((size > 0 && ${#rows[@]} < list_items_max)) || continue
    percent share "$used" $((used + available))
    rune_json_object disk mount="$mount" device="$device" size_bytes:=$((size * 1024)) used_bytes:=$((used * 1024)) \
      available_bytes:=$((available * 1024)) used_percent:="$share"
    rows+=(":=$disk")
  done
  if ((${#rows[@]} == 0 && status != 0)); then
    missing+=("=disks: df ended with status $status")
    rune_out disks:=null
    return
  fi
  rune_json_array disks ${rows[@]+"${rows[@]}"}
  rune_out disks:="$disks"
}

read_failed_units() {
  local output status=0 line units=''
  local lines=() names=()
  if ! type -P systemctl >/dev/null; then
    rune_out failed_units:=null
    return
  fi
  output=$(LC_ALL=C bounded systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null) || status=$?
  if ((status != 0)); then
    missing+=("=failed_units: systemctl ended with status $status")
    rune_out failed_units:=null
    return
  fi
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    line=${line%% *}
    if [[ -n $line ]] && ((${#names[@]} < list_items_max)); then names+=("=${line:0:256}"); fi
  done
  rune_json_array units ${names[@]+"${names[@]}"}
  rune_out failed_units:="$units"
}

rune_init
rune_read_only

if [[ ! -r /proc/meminfo || ! -r /proc/stat ]]; then
  rune_error 2 'This node has no readable /proc' '{"missing":"/proc"}'
fi

read_kernel
read_os
read_processors
read_load
read_memory
read_disks
read_failed_units

if ((${#missing[@]} > 0)); then
  list=''
  rune_json_array list ${missing[@]+"${missing[@]}"}
  rune_out missing:="$list"
fi
rune_finish ''
