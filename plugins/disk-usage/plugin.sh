#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
fi

# Bytes are characters here, and every tool speaks English.
export LC_ALL=C

df_seconds=8
file_systems_max=256
path_bytes_max=4096
# What du may print before it is stopped: some 200,000 directories, which sort can hold in memory.
listing_bytes_max=16777216
descriptors_max=200000
descriptors_a_call=1000
deleted_seconds=10
deleted_candidates_max=2000

notes=()

# percent VAR USED TOTAL: one decimal, 0 of nothing is 0.
percent() {
  local used=$2 total=$3 tenths=0
  # A thousand times a petabyte would not fit.
  while ((total > 1000000000000000)); do used=$((used / 1024)) total=$((total / 1024)); done
  if ((total > 0)); then tenths=$(((used * 1000 + total / 2) / total)); fi
  if ((tenths > 1000)); then tenths=1000; fi
  printf -v "$1" '%d.%d' $((tenths / 10)) $((tenths % 10))
}

list_file_systems() {
  timeout -k 1 "$df_seconds" df -B1 --output=source,fstype,size,used,avail,itotal,iused,iavail,target "$@" 2>/dev/null
}

read_file_systems() {
  local output status=0 line disk='' disks='' share='' inodes=''
  local lines=() rows=() field=()
  local columns='^(.*[^ ]) +([^ ]+) +([0-9]+) +([0-9]+) +(-?[0-9]+) +([0-9-]+) +([0-9-]+) +([0-9-]+) (.*)$'
  # One file system that cannot be read fails df, although it lists the others.
  output=$(list_file_systems) || status=$?
  if ((status == 124 || status == 137)); then
    notes+=("=df gave no answer within $df_seconds s; only local file systems are listed")
    status=0
    output=$(list_file_systems --local) || status=$?
  fi
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    [[ $line =~ $columns ]] || continue
    field=("${BASH_REMATCH[@]:1}")
    if ((field[2] == 0)); then continue; fi
    if ((${#rows[@]} == file_systems_max)); then
      notes+=("=only the first $file_systems_max file systems are listed")
      break
    fi
    if ((field[4] < 0)); then field[4]=0; fi
    inodes=null
    # Some file systems, such as btrfs, have no fixed number of inodes.
    if [[ ${field[5]}${field[6]}${field[7]} =~ ^[0-9]+$ ]] && ((field[5] > 0)); then
      percent share "${field[6]}" "${field[5]}"
      rune_json_object inodes total:="${field[5]}" used:="${field[6]}" free:="${field[7]}" used_percent:="$share"
    fi
    percent share "${field[3]}" $((field[3] + field[4]))
    rune_json_object disk mount="${field[8]:0:path_bytes_max}" device="${field[0]:0:path_bytes_max}" type="${field[1]:0:64}" \
      size_bytes:="${field[2]}" used_bytes:="${field[3]}" available_bytes:="${field[4]}" used_percent:="$share" \
      inodes:="$inodes"
    rows+=(":=$disk")
  done
  if ((${#rows[@]} == 0 && status != 0)); then
    rune_error_kv 3 "df ended with status $status and listed nothing" exit_status:="$status"
  fi
  rune_json_array disks ${rows[@]+"${rows[@]}"}
  rune_out file_systems:="$disks"
}

# Prints "STATUS TOTAL" and, on the next line, the largest directories as JSON. The record that holds du's exit status is the
# largest of all, so that it comes first; it is missing when du printed too much.
list_directories() {
  local record size name status=cut total=null row='[]' unit=$1
  local rows=()
  shift
  {
    {
      timeout -k 1 "$seconds_max" du "$@" -x -D -0 --max-depth="$depth" -- "$path" 2>/dev/null && name=0 || name=$?
      printf '9999999999999999999999\t%d\0' "$name"
    } | head -c "$listing_bytes_max" | sort -z -S 64M -k1,1nr
  } | {
    while ((${#rows[@]} < count)) && IFS= read -r -d '' record; do
      size=${record%%$'\t'*}
      name=${record#*$'\t'}
      if ((${#size} == 22)); then
        status=$name
      elif [[ $name == "$path" ]]; then
        total=$size
      else
        rune_json_object row path="${name:0:path_bytes_max}" "$unit:=$size"
        rows+=(":=$row")
      fi
    done
    rune_json_array row ${rows[@]+"${rows[@]}"}
    printf '%s %s\n%s' "$status" "$total" "$row"
  }
}

read_directories() {
  local output status total reason=null found=true unit=size_bytes
  if [[ -z $path ]]; then
    rune_out directories:=null
    return
  fi
  case $by in
    inodes)
      unit=inodes
      output=$(list_directories inodes --inodes) || :
      ;;
    *) output=$(list_directories size_bytes -B1) || : ;;
  esac
  status=${output%%[ $'\n']*}
  total=${output#* }
  total=${total%%$'\n'*}
  case $status in
    0) ;;
    1) reason='"unreadable"' ;;
    124 | 137) reason='"timeout"' ;;
    cut) reason='"too_many"' ;;
    *) rune_error_kv 3 "du ended with status ${status:-unknown}" "path=$path" ;;
  esac
  if [[ $reason != null ]]; then found=false; fi
  rune_json_object found "path=${path:0:path_bytes_max}" "by=$by" "total_$unit:=$total" complete:="$found" incomplete_because:="$reason" \
    "largest:=${output#*$'\n'}"
  rune_out directories:="$found"
}

# Adds those of the descriptors in batch that name a deleted file to candidates. stat prints '/proc/1/fd/3' -> 'target' with
# line ends escaped, and asks no file system about the target: one that is dead cannot stop it.
sift_descriptors() {
  local output line lines=()
  local deleted="^'(/proc/[0-9]+/fd/[0-9]+)' -> .*[(]deleted[)][\"']\$"
  output=$(stat --printf '%N\n' -- ${batch[@]+"${batch[@]}"} 2>/dev/null) || :
  batch=()
  if [[ $output != *'(deleted)'* ]]; then return 0; fi
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line != *'/memfd:'* && $line =~ $deleted ]]; then candidates+=("${BASH_REMATCH[1]}"); fi
  done
}

# Fills candidates with the descriptors of all processes that seem to name deleted files.
find_deleted() {
  local process descriptor deadline=$((SECONDS + deleted_seconds)) seen=0
  local batch=()
  shopt -s nullglob
  for process in /proc/[0-9]*; do
    if [[ ! -r $process/fd ]]; then
      if [[ -d $process ]]; then unreadable=$((unreadable + 1)); fi
      continue
    fi
    for descriptor in "$process"/fd/*; do
      batch+=("$descriptor")
      seen=$((seen + 1))
      if ((${#batch[@]} == descriptors_a_call)); then sift_descriptors; fi
    done
    if ((seen > descriptors_max || SECONDS >= deadline || ${#candidates[@]} > deleted_candidates_max)); then
      complete=false
      break
    fi
  done
  if ((${#batch[@]} > 0)); then sift_descriptors; fi
  shopt -u nullglob
}

# Prints "ALLOCATED SIZE DESCRIPTOR HOLDERS" of each deleted file among the candidates, the largest first.
weigh_candidates() {
  local output line key lines=()
  local columns='^0 ([0-9]+) ([0-9]+) ([0-9]+) ([^ ]+) (/proc/[0-9]+/fd/[0-9]+) regular'
  local -A first holders
  first=()
  holders=()
  output=$(timeout -s KILL "$deleted_seconds" stat -L --printf '%h %s %b %B %D:%i %n %F\n' -- \
    ${candidates[@]+"${candidates[@]:0:deleted_candidates_max}"} 2>/dev/null) || :
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    [[ $line =~ $columns ]] || continue
    key=${BASH_REMATCH[4]}
    holders[$key]=$((${holders[$key]-0} + 1))
    if [[ -z ${first[$key]-} ]]; then
      first[$key]="$((BASH_REMATCH[2] * BASH_REMATCH[3])) ${BASH_REMATCH[1]} ${BASH_REMATCH[5]}"
    fi
  done
  for key in "${!first[@]}"; do
    printf '%s %s\n' "${first[$key]}" "${holders[$key]}"
  done | sort -k1,1nr -k3,3
}

read_deleted() {
  local complete=true unreadable=0 total=0 line target name process descriptor file='' files=''
  local candidates=() lines=() rows=() field=()
  find_deleted
  if ((${#candidates[@]} > deleted_candidates_max)); then complete=false; fi
  if ((${#candidates[@]} > 0)); then split_lines "$(weigh_candidates)"; fi
  for line in ${lines[@]+"${lines[@]}"}; do
    # shellcheck disable=SC2206
    field=($line)
    total=$((total + field[0]))
    if ((${#rows[@]} == count)); then continue; fi
    # What follows the name keeps line ends at its end.
    target=$(readlink -n -- "${field[2]}" 2>/dev/null && printf .) || continue
    target=${target%.}
    process=${field[2]#/proc/}
    descriptor=${process##*/}
    process=${process%%/*}
    name=''
    { IFS= read -r -d '' name <"/proc/$process/comm"; } 2>/dev/null || name=${name%$'\n'}
    rune_json_object file path="${target:0:path_bytes_max}" allocated_bytes:="${field[0]}" size_bytes:="${field[1]}" \
      pid:="$process" process="${name:0:64}" descriptor:="$descriptor" descriptor_count:="${field[3]}"
    rows+=(":=$file")
  done
  rune_json_array files ${rows[@]+"${rows[@]}"}
  rune_json_object files allocated_bytes:="$total" file_count:="${#lines[@]}" complete:="$complete" \
    processes_unreadable:="$unreadable" largest:="$files"
  rune_out deleted_open:="$files"
}

rune_init
rune_read_only

need df du head readlink sort stat timeout
if [[ ! -d /proc/self/fd ]]; then rune_error 2 'This node has no readable /proc' '{"missing":"/proc"}'; fi
path='' depth='' by='' count='' seconds_max=''
rune_param -v path path
rune_param -v by by size
integer depth depth 2 1 8
integer count count 20 1 100
integer seconds_max seconds_max 20 1 300
if [[ $by != size && $by != inodes ]]; then rune_error 1 'by must be size or inodes' '{"field":"by"}'; fi
if [[ -n $path && $path != /* ]]; then rune_error 1 'path must be absolute' '{"field":"path"}'; fi
while [[ $path == ?*/ ]]; do path=${path%/}; done
if [[ -n $path && ! -d $path ]]; then rune_error_kv 3 'path is not a directory of this node' "path=$path"; fi

read_file_systems
read_directories
read_deleted

if ((${#notes[@]} > 0)); then
  list=''
  rune_json_array list ${notes[@]+"${notes[@]}"}
  rune_out notes:="$list"
fi
rune_finish ''
