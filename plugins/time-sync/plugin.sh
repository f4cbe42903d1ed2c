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

tool_seconds=3
output_bytes_max=65536

notes=() list=''

# ask TOOL ARGUMENT…: sets said to what the tool prints; a tool that is absent, fails or hangs leaves a note and fails.
ask() {
  local status=0
  said=''
  type -P "$1" >/dev/null || return 1
  said=$(timeout -s KILL "$tool_seconds" "$@" 2>&1 </dev/null | head -c "$output_bytes_max") || status=$?
  if ((status == 0)); then return 0; fi
  note "$1" "$status"
  return 1
}

# note TOOL STATUS: why this tool did not help.
note() {
  local text=${said//[$'\n\t\r']/ }
  if ((${2} == 137 || ${2} == 124)); then text="no answer within $tool_seconds s"; fi
  notes+=("=$1: ${text:0:300} (exit status $2)")
}

# to_micros VAR SECONDS: a decimal number of seconds, without its sign, in microseconds; fails when it is none.
to_micros() {
  local whole part shape='^[+-]?([0-9]{1,9})([.]([0-9]*))?$'
  [[ $2 =~ $shape ]] || return 1
  whole=${BASH_REMATCH[1]} part=${BASH_REMATCH[3]}000000
  printf -v "$1" %d $((10#$whole * 1000000 + 10#${part:0:6}))
}

# chrony prints: id,name,stratum,reference time,offset,…,leap status.
ask_chrony() {
  local field=() IFS=,
  ask chronyc -c -n tracking || return 1
  said=${said%%$'\n'*}
  set -f
  # shellcheck disable=SC2206
  field=($said)
  set +f
  if ((${#field[@]} < 14)) || ! to_micros offset "${field[4]}"; then
    note chronyc 0
    return 1
  fi
  tool=chronyc synchronised=true stratum=${field[2]} source=${field[1]}
  # Without a source, or with nothing but its own clock as one, the daemon runs but follows nobody.
  if [[ ${field[13]} == 'Not synchronised' || ${field[0]} == 00000000 || ${field[0]} == 7F7F0101 ]]; then
    synchronised=false offset='' source=''
  fi
}

# ntpq prints: leap=00, stratum=3, refid=192.0.2.1, offset=-0.123 (milliseconds); its exit status is 0 even without a daemon.
ask_ntp() {
  local leap='' text value
  ask ntpq -n -c 'rv 0 leap,stratum,refid,offset' || return 1
  text=", ${said//$'\n'/ }, "
  for value in leap stratum refid offset; do
    if [[ $text != *" $value="*,* ]]; then
      note ntpq 0
      return 1
    fi
  done
  leap=${text#* leap=} leap=${leap%%,*}
  stratum=${text#* stratum=} stratum=${stratum%%,*}
  source=${text#* refid=} source=${source%%,*}
  value=${text#* offset=} value=${value%%,*}
  if ! to_micros offset "${value// /}"; then
    note ntpq 0
    return 1
  fi
  offset=$(((offset + 500) / 1000)) tool=ntpq synchronised=true
  if [[ $leap == *11 || $leap == *3 || $leap == *alarm* || ! $stratum =~ ^([1-9]|1[0-5])$ ]]; then synchronised=false offset='' source=''; fi
}

# systemd tells what the kernel knows, whichever daemon told the kernel; of its own daemon it also tells source and offset.
ask_systemd() {
  local line lines=() value='' unit offset_shape='^[+-]?([0-9]+([.][0-9]+)?)(us|ms|s)$'
  ask timedatectl status || return 1
  split_lines "$said"
  for line in ${lines[@]+"${lines[@]}"}; do
    case $line in
      *'ystem clock synchronized:'* | *'NTP synchronized:'*) value=${line##*: } ;;
    esac
  done
  case $value in
    yes) synchronised=true ;;
    no) synchronised=false ;;
    *)
      note timedatectl 0
      return 1
      ;;
  esac
  tool=timedatectl
  if [[ $synchronised == false ]] || ! said=$(timeout -s KILL "$tool_seconds" timedatectl timesync-status 2>/dev/null </dev/null | head -c "$output_bytes_max"); then
    return 0
  fi
  split_lines "$said"
  for line in ${lines[@]+"${lines[@]}"}; do
    value=${line#*: }
    case $line in
      *Server:*) source=$value ;;
      *Stratum:*) stratum=$value ;;
      *Offset:*)
        [[ $value =~ $offset_shape ]] || continue
        unit=${BASH_REMATCH[3]}
        to_micros offset "${BASH_REMATCH[1]}" || continue
        case $unit in
          ms) offset=$(((offset + 500) / 1000)) ;;
          us) offset=$(((offset + 500000) / 1000000)) ;;
        esac
        ;;
    esac
  done
}

rune_init
rune_read_only

need date head timeout
offset_max_ms=''
integer offset_max_ms offset_max_ms 500 1 3600000

tool='' synchronised='' offset='' source='' stratum='' said=''
ask_chrony || ask_ntp || ask_systemd || :

verdict=unknown
case $synchronised in
  true)
    verdict=synchronised
    if [[ -n $offset ]] && ((offset > offset_max_ms * 1000)); then verdict=offset_too_large; fi
    ;;
  false) verdict=not_synchronised ;;
esac
ok=false
if [[ $verdict == synchronised ]]; then ok=true; fi

now=$(date -u '+%s.%6N %Y-%m-%dT%H:%M:%S.%3NZ')
sent='' ahead=null
rune_meta -v sent created_at
# Rough, because the message took its time; it shows a clock that is wrong by minutes where nothing else knows.
if [[ $sent =~ ^[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9:]{8}([.][0-9]+)?Z$ ]] && sent=$(date -u -d "$sent" +%s 2>/dev/null); then
  ahead=$((${now%%.*} - sent))
fi

rune_json_array list ${notes[@]+"${notes[@]}"}
if [[ -n $offset ]]; then printf -v offset '%d.%06d' $((offset / 1000000)) $((offset % 1000000)); fi
for name in source tool; do
  if [[ -n ${!name} ]]; then rune_json_string "$name" "${!name:0:256}"; else printf -v "$name" null; fi
done
if [[ ! $stratum =~ ^[0-9]{1,3}$ ]]; then stratum=null; fi
if [[ $stratum != null ]]; then stratum=$((10#$stratum)); fi
rune_out ok:="$ok"
rune_out "verdict=$verdict"
rune_out synchronised:="${synchronised:-null}"
rune_out offset_seconds:="${offset:-null}"
rune_out stratum:="$stratum"
rune_out source:="$source"
rune_out tool:="$tool"
rune_out "time=${now#* }"
rune_out ahead_of_sender_seconds:="$ahead"
rune_out notes:="$list"
rune_finish ''
