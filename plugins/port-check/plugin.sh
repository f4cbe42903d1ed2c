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

targets_max=32
listeners_max=512
# Listening sockets come first in the kernel's table; this holds some 27,000 sockets.
table_bytes_max=4194304
descriptors_max=200000
descriptors_a_call=1000
owners_seconds=8

# split_target TARGET: into host and port; fails when it is not HOST:PORT.
split_target() {
  local shape='^(\[[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\]|[A-Za-z0-9_][A-Za-z0-9_.-]*):([1-9][0-9]{0,4})$'
  [[ $1 =~ $shape ]] || return 1
  host=${BASH_REMATCH[1]} port=${BASH_REMATCH[3]}
  host=${host#[}
  host=${host%]}
  ((port <= 65535))
}

# Tries one target and prints "NUMBER STATUS" and on the next line what bash said, and last the seconds it took. Only a KILL
# ends a bash that waits for a name server.
try_target() {
  local said status=0
  said=$(
    # shellcheck disable=SC2016
    timeout -s KILL "$seconds" "$BASH" -c 'TIMEFORMAT=%R; time { :; } 3<>"/dev/tcp/$1/$2"' check "$host" "$port" 2>&1
  ) || status=$?
  if ((${#said} > 2000)); then said=${said:${#said}-2000}; fi
  printf '%d %d %s\n' "$1" "$status" "${said//$'\n'/ }"
}

# try_all: all targets at once, one line of result each.
try_all() {
  local i host port
  for ((i = 0; i < ${#targets[@]}; i++)); do
    split_target "${targets[i]}"
    try_target "$i" 2>/dev/null &
  done
  wait
}

# judge STATUS SAID: sets state, took (milliseconds or null) and reason (JSON).
judge() {
  local said=$2 text='' seconds_shape=' ([0-9]+)[.]([0-9]{3})$'
  took=null reason=null
  if [[ " $said" =~ $seconds_shape ]]; then took=$((10#${BASH_REMATCH[1]}${BASH_REMATCH[2]})); fi
  case $1:$said in
    0:*) state=open ;;
    124:* | 137:*) state=timeout took=null ;;
    *'No such file or directory'*) rune_error 2 'bash on this node was built without /dev/tcp' '{"missing":"bash /dev/tcp"}' ;;
    *'Connection refused'*) state=refused ;;
    *'onnection timed out'*) state=timeout ;;
    *'unreachable'* | *'No route to host'*) state=unreachable ;;
    *'not known'* | *'name resolution'* | *'No address associated'* | *'not supported for hostname'*) state=unknown_host ;;
    *) state=error ;;
  esac
  if [[ $state != open && $state != timeout ]]; then
    # The first message is the cause: "check: connect: Connection refused", "check: line 1: HOST: Name or service not known".
    text=${said#check: }
    text=${text#line 1: }
    text=${text%%' check: '*}
    rune_json_string reason "${text:0:500}"
  fi
}

check_targets() {
  local output i line row='' list='' all=true state took reason host port is_open
  local lines=()
  local -A answer
  answer=()
  output=$(try_all)
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do answer[_${line%% *}]=${line#* }; done
  for ((i = 0; i < ${#targets[@]}; i++)); do
    line=${answer[_$i]-}
    if [[ -z $line ]]; then rune_error_kv 3 'A check gave no answer' "target=${targets[i]}"; fi
    split_target "${targets[i]}"
    judge "${line%% *}" "${line#* }"
    is_open=true
    if [[ $state != open ]]; then is_open=false all=false; fi
    rune_json_object row "target=${targets[i]}" "host=$host" port:="$port" ok:="$is_open" "state=$state" connect_ms:="$took" reason:="$reason"
    list+=,$row
  done
  rune_out ok:="$all"
  rune_out checks:="[${list#,}]"
}

# ipv4 VAR HEX, ipv6 VAR HEX: addresses as the kernel prints them, in words of four bytes, each in this machine's order.
ipv4() {
  local hex=$2
  if [[ $little == true ]]; then hex=${hex:6:2}${hex:4:2}${hex:2:2}${hex:0:2}; fi
  printf -v "$1" '%d.%d.%d.%d' "0x${hex:0:2}" "0x${hex:2:2}" "0x${hex:4:2}" "0x${hex:6:2}"
}

ipv6() {
  local hex='' word i text='' zeros
  for ((i = 0; i < 32; i += 8)); do
    word=${2:i:8}
    if [[ $little == true ]]; then word=${word:6:2}${word:4:2}${word:2:2}${word:0:2}; fi
    hex+=$word
  done
  if [[ $hex == 00000000000000000000[Ff][Ff][Ff][Ff]* ]]; then
    printf -v "$1" '::ffff:%d.%d.%d.%d' "0x${hex:24:2}" "0x${hex:26:2}" "0x${hex:28:2}" "0x${hex:30:2}"
    return
  fi
  for ((i = 0; i < 32; i += 4)); do
    printf -v word %x "0x${hex:i:4}"
    text+=:$word
  done
  # The longest run of zeros, the first of equal ones, becomes "::".
  text+=:
  for zeros in :0:0:0:0:0:0:0:0: :0:0:0:0:0:0:0: :0:0:0:0:0:0: :0:0:0:0:0: :0:0:0:0: :0:0:0: :0:0:; do
    if [[ $text == *"$zeros"* ]]; then
      text=${text/"$zeros"/::}
      break
    fi
  done
  if [[ $text != ::* ]]; then text=${text#:}; fi
  if [[ $text != *:: ]]; then text=${text%:}; fi
  printf -v "$1" %s "$text"
}

# read_table FAMILY: adds "FAMILY ADDRESS PORT UID INODE" to sockets for each that listens.
read_table() {
  local text line lines=() field=() address file=/proc/net/tcp
  if [[ $1 == ipv6 ]]; then file=/proc/net/tcp6; fi
  if [[ ! -r $file ]]; then return 0; fi
  text=$(head -c "$table_bytes_max" "$file")
  split_lines "$text"
  for line in ${lines[@]+"${lines[@]}"}; do
    # shellcheck disable=SC2206
    field=($line)
    # A row that was cut off has fewer fields.
    if ((${#field[@]} < 12)) || [[ ${field[3]} != 0A ]]; then continue; fi
    if ((${#sockets[@]} == listeners_max)); then
      truncated=true
      break
    fi
    "$1" address "${field[1]%:*}"
    sockets+=("$1 $address $((16#${field[1]#*:})) ${field[7]} ${field[9]}")
  done
}

# Remembers in owner_of, by inode, the process that holds each socket of the descriptors in batch.
match_descriptors() {
  local output line lines=()
  local socket="^'(/proc/([0-9]+)/fd/[0-9]+)' -> 'socket:\\[([0-9]+)\\]'"
  output=$(stat --printf '%N\n' -- ${batch[@]+"${batch[@]}"} 2>/dev/null) || :
  batch=()
  split_lines "$output"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line == *socket:* && $line =~ $socket && -n ${wanted[_${BASH_REMATCH[3]}]-} ]]; then
      # Of several processes that share a socket the first, usually the parent, stands for all.
      if [[ -z ${owner_of[_${BASH_REMATCH[3]}]-} ]]; then owner_of[_${BASH_REMATCH[3]}]=${BASH_REMATCH[2]}; fi
    fi
  done
}

find_owners() {
  local process descriptor deadline=$((SECONDS + owners_seconds)) seen=0 batch=()
  shopt -s nullglob
  for process in /proc/[0-9]*; do
    for descriptor in "$process"/fd/*; do
      batch+=("$descriptor")
      seen=$((seen + 1))
      if ((${#batch[@]} == descriptors_a_call)); then match_descriptors; fi
    done
    if ((seen > descriptors_max || SECONDS >= deadline)); then break; fi
  done
  if ((${#batch[@]} > 0)); then match_descriptors; fi
  shopt -u nullglob
}

list_listeners() {
  local truncated=false little=true order line row list='' name text pid
  local sockets=() field=()
  local -A wanted owner_of
  wanted=()
  owner_of=()
  order=$(printf '\001\000' | od -An -tu2)
  if ((order != 1)); then little=false; fi
  read_table ipv4
  read_table ipv6
  for line in ${sockets[@]+"${sockets[@]}"}; do wanted[_${line##* }]=1; done
  if ((${#sockets[@]} > 0)); then find_owners; fi
  for line in ${sockets[@]+"${sockets[@]}"}; do
    # shellcheck disable=SC2206
    field=($line)
    pid=${owner_of[_${field[4]}]-null} name=null
    if [[ $pid != null ]]; then
      text=''
      { IFS= read -r -d '' text <"/proc/$pid/comm"; } 2>/dev/null || text=${text%$'\n'}
      if [[ -n $text ]]; then rune_json_string name "${text:0:64}"; fi
    fi
    printf -v row '{"family":"%s","address":"%s","port":%d,"uid":%d,"pid":%s,"process":%s}' \
      "${field[0]}" "${field[1]}" "${field[2]}" "${field[3]}" "$pid" "$name"
    list+=,$row
  done
  rune_out listeners:="[${list#,}]"
  rune_out listeners_truncated:="$truncated"
}

rune_init
rune_read_only

need head od stat timeout
timeout_ms='' listeners='' targets=()
rune_param_list targets targets
integer timeout_ms timeout_ms 3000 100 30000
rune_param -v listeners listeners true
if ((${#targets[@]} > targets_max)); then rune_error 1 "targets must be at most $targets_max" '{"field":"targets"}'; fi
for target in ${targets[@]+"${targets[@]}"}; do
  if ! split_target "$target"; then rune_error_kv 1 'Each target must be HOST:PORT or [IPV6]:PORT' field=targets "value=${target:0:300}"; fi
done
if [[ $listeners != true && $listeners != false ]]; then rune_error 1 'listeners must be true or false' '{"field":"listeners"}'; fi
printf -v seconds '%d.%03d' $((timeout_ms / 1000)) $((timeout_ms % 1000))

check_targets
if [[ $listeners == true ]]; then
  if [[ ! -r /proc/net/tcp && ! -r /proc/net/tcp6 ]]; then rune_error 2 'This node has no readable /proc/net' '{"missing":"/proc/net/tcp"}'; fi
  list_listeners
else
  rune_out listeners:=null
fi
rune_finish ''
