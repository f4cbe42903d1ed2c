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

processes_max=20000
command_bytes_max=1024

# Ticks of processor time by PID:START of the first look; what the second look found by PID.
declare -A ticks_before=() name_of=() fields_of=() ticks_of=() user_names=()

# tenths VAR PART WHOLE: the percentage with one decimal; it may be above 100. 0 of nothing is 0.
tenths() {
  local value=0
  if (($3 > 0 && $2 > 0)); then value=$((($2 * 1000 + $3 / 2) / $3)); fi
  printf -v "$1" '%d.%d' $((value / 10)) $((value % 10))
}

# read_file VAR FILE: all of a small file up to its first NUL; fails when it cannot be read. A name in /proc/PID/stat may hold
# line ends.
read_file() {
  local content=''
  { IFS= read -r -d '' content <"$2"; } 2>/dev/null || [[ -n $content ]] || return 1
  printf -v "$1" %s "$content"
}

# uptime VAR: hundredths of a second since the node started. This is the unit of processor time in /proc as well: USER_HZ is 100
# on every architecture that Linux still runs on.
uptime() {
  local text
  read_file text /proc/uptime
  text=${text%% *}
  printf -v "$1" %d "$((10#${text/./}))"
}

# Sets total, idle, iowait and steal to the node's processor time since its start, and cpu_count.
read_processors() {
  local text line field=()
  local lines=()
  read_file text /proc/stat
  split_lines "$text"
  cpu_count=0 total=0
  for line in ${lines[@]+"${lines[@]}"}; do
    case $line in
      cpu[0-9]*) cpu_count=$((cpu_count + 1)) ;;
      'cpu '*)
        # shellcheck disable=SC2206
        field=($line 0 0 0 0 0)
        idle=${field[4]} iowait=${field[5]} steal=${field[8]}
        total=$((field[1] + field[2] + field[3] + idle + iowait + field[6] + field[7] + steal))
        ;;
    esac
  done
}

# look PASS: reads every process but this one.
look() {
  local directory pid text rest field=()
  local directories=(/proc/[0-9]*)
  for directory in ${directories[@]+"${directories[@]:0:processes_max}"}; do
    pid=${directory#/proc/}
    if [[ $pid == "$$" ]] || ! read_file text "$directory/stat"; then continue; fi
    rest=${text##*) }
    # shellcheck disable=SC2206
    field=($rest)
    if [[ $1 == first ]]; then
      ticks_before[$pid:${field[19]}]=$((field[11] + field[12]))
      continue
    fi
    text=${text#*(}
    name_of[$pid]=${text%)*}
    fields_of[$pid]=$rest
    ticks_of[$pid]=$((field[11] + field[12] - ${ticks_before[$pid:${field[19]}]-0}))
    # A process that is not in the first look is new, or was not readable then.
    if [[ -z ${ticks_before[$pid:${field[19]}]-} ]] && ((field[19] < started)); then ticks_of[$pid]=0; fi
    case ${field[0]} in
      R) running=$((running + 1)) ;;
      D)
        blocked=$((blocked + 1))
        blocked_pids+=$pid$'\n'
        ;;
      Z) zombies=$((zombies + 1)) ;;
    esac
  done
  if ((${#directories[@]} > processes_max)); then complete=false; fi
}

read_users() {
  local text line lines=() name rest
  read_file text /etc/passwd || return 0
  split_lines "$text"
  for line in ${lines[@]+"${lines[@]}"}; do
    name=${line%%:*}
    rest=${line#*:*:}
    if [[ -z ${user_names[_${rest%%:*}]-} ]]; then user_names[_${rest%%:*}]=$name; fi
  done
}

# command_line VAR PID: the arguments joined by blanks, as JSON, or null.
command_line() {
  local word text=''
  if [[ $arguments == true ]]; then
    { while ((${#text} < command_bytes_max)) && IFS= read -r -d '' word; do text+="$word "; done <"/proc/$2/cmdline"; } 2>/dev/null || :
  fi
  text=${text% }
  if [[ -z $text ]]; then
    printf -v "$1" null
  else
    rune_json_string "$1" "${text:0:command_bytes_max}"
  fi
}

# describe VAR PID: the process as JSON; fails when it ended.
describe() {
  local text line lines=() field=() uid='' rss=0 swap=0 user=null share='' memory_share='' command='' name='' state='' age spent
  read_file text "/proc/$2/status" || return 1
  split_lines "$text"
  for line in ${lines[@]+"${lines[@]}"}; do
    # shellcheck disable=SC2206
    case $line in
      Uid:*) field=($line) uid=${field[2]} ;;
      VmRSS:*) field=($line) rss=$((field[1] * 1024)) ;;
      VmSwap:*) field=($line) swap=$((field[1] * 1024)) ;;
    esac
  done
  if [[ ! $uid =~ ^[0-9]+$ ]]; then return 1; fi
  if [[ -n ${user_names[_$uid]-} ]]; then rune_json_string user "${user_names[_$uid]:0:256}"; fi
  # shellcheck disable=SC2206
  field=(${fields_of[$2]})
  tenths share "${ticks_of[$2]}" "$elapsed"
  tenths memory_share $((rss / 1024)) "$memory_total"
  spent=$((field[11] + field[12])) age=$((ended - field[19]))
  if ((age < 0)); then age=0; fi
  command_line command "$2"
  rune_json_string name "${name_of[$2]:0:64}"
  rune_json_string state "${field[0]}"
  # By hand: the library would parse each of these numbers again, two hundred times over.
  printf -v "$1" '{"pid":%d,"parent_pid":%d,"name":%s,"command":%s,"uid":%d,"user":%s,"state":%s,"threads":%d,' \
    "$2" "${field[1]}" "$name" "$command" "$uid" "$user" "$state" "${field[17]}"
  printf -v "$1" '%s"cpu_percent":%s,"cpu_seconds":%d.%d,"rss_bytes":%d,"memory_percent":%s,"swap_bytes":%d,"age_seconds":%d}' \
    "${!1}" "$share" $((spent / 100)) $((spent % 100 / 10)) "$rss" "$memory_share" "$swap" $((age / 100))
}

# report KEY PIDS: the first processes of the list that are still there.
report() {
  local lines=() pid row='' list='' listed=0
  split_lines "$2"
  for pid in ${lines[@]+"${lines[@]}"}; do
    if ((listed == count)); then break; fi
    if describe row "$pid"; then
      list+=,$row
      listed=$((listed + 1))
    fi
  done
  rune_out "$1:=[${list#,}]"
}

# Prints process ids, the one with the largest number first: "by_number cpu" or "by_number memory".
by_number() {
  local pid field=()
  for pid in "${!fields_of[@]}"; do
    # shellcheck disable=SC2206
    field=(${fields_of[$pid]})
    if [[ $1 == cpu ]]; then
      printf '%s %s\n' "${ticks_of[$pid]}" "$pid"
    else
      printf '%s %s\n' "${field[21]}" "$pid"
    fi
  done | sort -k1,1nr -k2,2n | head -n $((count * 2)) | cut -d ' ' -f 2
}

read_memory() {
  local text line lines=() field=() available='' free=0
  read_file text /proc/meminfo
  split_lines "$text"
  for line in ${lines[@]+"${lines[@]}"}; do
    # shellcheck disable=SC2206
    case $line in
      MemTotal:*) field=($line) memory_total=${field[1]} ;;
      MemFree:*) field=($line) free=${field[1]} ;;
      MemAvailable:*) field=($line) available=${field[1]} ;;
    esac
  done
  rune_json_object text total_bytes:=$((memory_total * 1024)) available_bytes:=$((${available:-$free} * 1024))
  rune_out memory:="$text"
}

rune_init
rune_read_only

need cut head sleep sort
if [[ ! -r /proc/meminfo || ! -r /proc/stat || ! -r /proc/uptime ]]; then
  rune_error 2 'This node has no readable /proc' '{"missing":"/proc"}'
fi
count='' sample_ms='' arguments='' json='' share='' iowait_share='' steal_share=''
integer count count 10 1 100
integer sample_ms sample_ms 1000 100 10000
rune_param -v arguments arguments false
if [[ $arguments != true && $arguments != false ]]; then rune_error 1 'arguments must be true or false' '{"field":"arguments"}'; fi

complete=true running=0 blocked=0 zombies=0 blocked_pids='' memory_total=0 started=0 ended=0
total=0 idle=0 iowait=0 steal=0 cpu_count=0
read_users
read_memory

read_processors
total_before=$total idle_before=$idle iowait_before=$iowait steal_before=$steal
uptime started
look first
sleep "$((sample_ms / 1000)).$(printf %03d $((sample_ms % 1000)))"
uptime ended
elapsed=$((ended - started))
read_processors
look second

spent=$((total - total_before))
tenths share $((spent - (idle - idle_before) - (iowait - iowait_before))) "$spent"
tenths iowait_share $((iowait - iowait_before)) "$spent"
tenths steal_share $((steal - steal_before)) "$spent"
rune_json_object json count:="$cpu_count" used_percent:="$share" iowait_percent:="$iowait_share" steal_percent:="$steal_share"
rune_out cpu:="$json"
rune_json_object json total:="${#fields_of[@]}" running:="$running" blocked:="$blocked" zombies:="$zombies" complete:="$complete"
rune_out processes:="$json"
rune_out sample_ms:=$((elapsed * 10))
report by_cpu "$(by_number cpu)"
report by_memory "$(by_number memory)"
report blocked "$blocked_pids"
rune_finish ''
