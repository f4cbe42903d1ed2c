#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
  # shellcheck source=plugins/lib/allow-list.sh
  source "$(dirname "$0")/lib/allow-list.sh"
fi

# Bytes are characters here, every tool speaks English, and all times are in UTC.
export LC_ALL=C TZ=UTC0

sources_max=32
# The mediator takes 1,048,576 bytes. Base64 makes 600,000 of the archive, and the sources with their last lines take less than
# 150,000 in the worst case, so an answer stays below 750,000.
archive_bytes_max=450000
last_lines_json_max=65536
last_line_bytes_max=500
last_bytes_max=16384
name_bytes_max=512
# What gzip and the heading of a source may add to the archive besides the source's name.
heading_bytes=128
window_bytes_min=256
journal_seconds=30
read_seconds=30

# read_since: sets since_epoch, 0 for no limit.
read_since() {
  local since year month days seconds factor=1
  local relative='^-([0-9]{1,6})([smhd])$'
  local moment='^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})([.][0-9]+)?(Z|([+-])([0-9]{2}):([0-9]{2}))$'
  rune_param -v since since
  if [[ -z $since ]]; then return 0; fi
  if [[ $since =~ $relative ]]; then
    case ${BASH_REMATCH[2]} in
      m) factor=60 ;;
      h) factor=3600 ;;
      d) factor=86400 ;;
    esac
    printf -v seconds '%(%s)T' -1
    since_epoch=$((seconds - 10#${BASH_REMATCH[1]} * factor))
  elif [[ $since =~ $moment ]]; then
    # Days since 1970, with the year beginning in March so that a leap day comes last.
    year=$((10#${BASH_REMATCH[1]})) month=$((10#${BASH_REMATCH[2]}))
    if ((month < 3)); then year=$((year - 1)) month=$((month + 12)); fi
    days=$((365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + 10#${BASH_REMATCH[3]} - 719469))
    seconds=$((10#${BASH_REMATCH[4]} * 3600 + 10#${BASH_REMATCH[5]} * 60 + 10#${BASH_REMATCH[6]}))
    since_epoch=$((days * 86400 + seconds))
    if [[ -n ${BASH_REMATCH[9]} ]]; then
      since_epoch=$((since_epoch - ${BASH_REMATCH[9]}1 * (10#${BASH_REMATCH[10]} * 3600 + 10#${BASH_REMATCH[11]} * 60)))
    fi
  else
    rune_error 1 'since must be such as -90s, -30m, -1h or -2d, or a time such as 2026-11-22T03:00:00Z' '{"field":"since"}'
  fi
  if ((since_epoch < 1)); then since_epoch=1; fi
}

# add_source KIND NAME [PROBLEM]
add_source() {
  if [[ -n ${known[$1:$2]-} ]]; then return 0; fi
  known[$1:$2]=1
  if ((${#kinds[@]} == sources_max)); then
    left_out=$((left_out + 1))
    return 0
  fi
  kinds+=("$1")
  names+=("$2")
  problems+=("${3-}")
}

# expand PATTERN: adds the files of one directory that match. A name outside of the allow-list must not be told, so the directory
# is entered and the kernel asked which one that is.
expand() {
  local IFS='' directory=${1%/*} pattern=${1##*/} real found matches=() before=$((${#kinds[@]} + left_out))
  if [[ $directory == *['[*?']* || $pattern == *\\* ]]; then
    rune_error_kv 1 'Only the last part of a path may be a pattern' "path=$1"
  fi
  if ! cd -P -- "$directory/" 2>/dev/null; then
    add_source file "$1" 'the directory is not there, or this user may not enter it'
    return 0
  fi
  real=$(readlink -n /proc/self/cwd && printf .) || real=.
  real=${real%.}
  shopt -s nullglob
  # shellcheck disable=SC2206
  matches=($pattern)
  shopt -u nullglob
  for found in ${matches[@]+"${matches[@]}"}; do
    if [[ -f $found && $real/$found =~ $allowed ]] && is_plain "$real/$found"; then add_source file "$real/$found"; fi
  done
  cd /
  if ((${#kinds[@]} + left_out == before)); then add_source file "$1" 'no file in the allow-list matches'; fi
}

read_sources() {
  local unit path units=() paths=() entries=() entry expression=''
  read_patterns entries paths
  for entry in ${entries[@]+"${entries[@]}"}; do
    regex_of entry "$entry"
    expression+="|$entry"
  done
  allowed="^(${expression#|})(/.*)?\$"
  rune_param_list units units
  rune_param_list paths paths
  for unit in ${units[@]+"${units[@]}"}; do
    if ! [[ $unit =~ ^[A-Za-z0-9_:][A-Za-z0-9_.:\\@-]*$ ]] || ((${#unit} > 255)); then
      rune_error_kv 1 'units holds what is not the name of a unit' "unit=$unit"
    fi
    add_source journal "$unit"
  done
  for path in ${paths[@]+"${paths[@]}"}; do
    if ! is_plain "$path" || ((${#path} > 4096)); then
      rune_error_kv 1 'paths holds one that is not absolute, or has "..", ".", "//" or a control character in it' "path=$path"
    fi
    if [[ ${path##*/} == *['[*?']* || ${path%/*} == *['[*?']* ]]; then
      expand "$path"
    elif [[ $path =~ $allowed ]]; then
      add_source file "$path"
    else
      add_source file "$path" 'it is outside of the allow-list in the configuration of this action'
    fi
  done
  if ((${#kinds[@]} == 0)); then rune_error 1 'Name at least one of units and paths' '{"field":"units"}'; fi
}

pack() {
  if [[ $compressed == true ]]; then gzip -c | base64 -w0; else base64 -w0; fi
}

unpack() {
  if [[ $compressed == true ]]; then
    printf %s "$packed" | base64 -d | gzip -dc
  else
    printf %s "$packed" | base64 -d
  fi
}

# read_file PATH ALLOWED SINCE COMPRESSED WINDOW LINES CHARACTERS: prints a line of facts and, when the file may be read and has
# something, its end as pack makes it, or one character more than CHARACTERS. It runs in a bash of its own, because a file that has
# become a FIFO between the look and the open would hold it for ever.
read_file() {
  local compressed=$4 real facts size
  if [[ ! -e $1 ]]; then
    if [[ -L $1 ]]; then
      printf 'failed it is a link to nothing, or to what this user may not see\n'
    else
      printf 'failed it is not there, or in a directory that this user may not enter\n'
    fi
    return
  fi
  if [[ ! -f $1 ]]; then
    printf 'failed it is not a regular file\n'
    return
  fi
  if ! { exec 3<"$1"; } 2>/dev/null; then
    printf 'failed this user may not read it\n'
    return
  fi
  # What counts is what was opened, whatever the path leads to by now. First how many names it has: if the one that it was opened
  # by goes before, the kernel says below that it is deleted; if it goes after, there were two.
  facts=$(stat -L --printf '%h %s %b %B %Y %F' /proc/self/fd/3) || facts='1 0 0 0 0 unknown'
  real=$(readlink -n /proc/self/fd/3 && printf .) || real=.
  real=${real%.}
  # shellcheck disable=SC2086
  set -- "$1" "$2" "$3" "$4" "$5" "$6" "$7" $facts
  size=$9
  if [[ ${13} != regular ]]; then
    printf 'failed it is not a regular file\n'
  elif (($8 == 0)) || [[ $real == *' (deleted)' ]]; then
    printf 'failed it was removed while it was opened\n'
  elif ! is_plain "$real" || [[ ! $real =~ $2 ]]; then
    printf 'failed it leads out of the allow-list in the configuration of this action\n'
  elif (($8 > 1)); then
    printf 'failed it has %s names, and one of them may be outside of the allow-list\n' "$8"
  elif ((size >= 1073741824 && ${10} * ${11} < size / 10)); then
    printf 'failed it is sparse: %s bytes long, of which %s are stored\n' "$size" $((${10} * ${11}))
  elif (($3 > 0 && ${12} < $3)); then
    printf 'unchanged %s %s\n' "$size" "${12}"
  else
    printf 'taken %s %s\n' "$size" "${12}"
    tail -c "$5" <&3 | head -c "$5" | tail -n "$6" | pack | head -c $(($7 + 1))
  fi
}

# take_file WINDOW CHARACTERS: sets packed, size, modified and state, or problem.
take_file() {
  local reply status=0
  reply=$(timeout -s KILL "$read_seconds" "$BASH" -p -c "$child" plugin.sh "$name" "$allowed" "$since_epoch" \
    "$compressed" "$1" "$lines_max" "$2" 2>/dev/null) || status=$?
  case $reply in
    'failed '*) problem=${reply#failed } ;;
    'unchanged '* | 'taken '*)
      packed=${reply#*$'\n'}
      reply=${reply%%$'\n'*}
      if [[ $packed == "$reply" ]]; then packed=''; fi
      state=${reply%% *} size=${reply#* }
      modified=${size#* } size=${size% *}
      json_moment modified "$modified"
      ;;
    *)
      problem="it was not read within $read_seconds s"
      if ((status != 124 && status != 137)); then problem="reading it ended with status $status"; fi
      ;;
  esac
}

# why_no_journal: what journalctl says on stderr, without --quiet. Only there does it tell that this user may not see the journal.
why_no_journal() {
  timeout -k 1 5 journalctl --no-pager --lines=1 "--unit=$name" 2>&1 >/dev/null </dev/null | head -c "$last_line_bytes_max" | tr '\n\000' '  '
}

# take_journal WINDOW CHARACTERS: as take_file. The journal is asked once and kept in journal_text.
take_journal() {
  local status=0 why since=()
  state=taken
  if [[ -z $asked ]]; then
    asked=1
    if ! type -P journalctl >/dev/null; then
      problem='this node has no journalctl'
      return
    fi
    if ((since_epoch > 0)); then since=("--since=@$since_epoch"); fi
    # One line and one byte more than may be taken show whether there was more.
    journal_text=$(timeout -k 1 "$journal_seconds" journalctl --no-pager --quiet --output=short-iso "--lines=$((lines_max + 1))" \
      "--unit=$name" ${since[@]+"${since[@]}"} 2>/dev/null </dev/null | tail -c $(($1 + 1)) | tr -d '\000') || status=$?
    if ((status == 124 || status == 137)); then
      problem="journalctl gave no answer within $journal_seconds s"
    elif ((status != 0)) || { ((EUID != 0)) && [[ -z $journal_text ]]; }; then
      why=$(why_no_journal) || :
      if [[ $why == *'not seeing messages'* || $why == *'nsufficient permissions'* || $why == *'ermission denied'* ]]; then
        problem='this user may not read the journal: the group systemd-journal may'
      elif ((status != 0)); then
        problem="journalctl ended with status $status: $why"
      fi
    fi
    if [[ -n $journal_text ]]; then journal_text+=$'\n'; fi
    size=${#journal_text}
  fi
  packed=''
  if [[ -z $problem && -n $journal_text ]]; then
    packed=$(printf %s "$journal_text" | tail -c "$1" | tail -n "$lines_max" | pack | head -c $(($2 + 1))) || :
  fi
}

# last_lines_of VAR: the last lines of packed as JSON, as far as all last lines together stay small; sets lines too.
last_lines_of() {
  local text line json from i rows=() items=()
  printf -v "$1" '[]'
  text=$(unpack | tail -n "$((last_lines > 0 ? last_lines : 1))" | tail -c "$last_bytes_max" | tr '\000' '\377' && printf .)
  text=${text%.}
  if [[ -n $text && $text != *$'\n' ]]; then
    lines=$((lines + 1))
    text+=$'\n'
  fi
  while [[ -n $text ]]; do
    rows+=("${text%%$'\n'*}")
    text=${text#*$'\n'}
  done
  from=$((${#rows[@]} > last_lines ? ${#rows[@]} - last_lines : 0))
  for ((i = ${#rows[@]} - 1; i >= from; i--)); do
    line=${rows[i]:0:last_line_bytes_max}
    rune_json_string json "$line"
    if ((last_json_bytes + ${#json} + 1 > last_lines_json_max)); then break; fi
    last_json_bytes=$((last_json_bytes + ${#json} + 1))
    items=("=$line" ${items[@]+"${items[@]}"})
  done
  rune_json_array "$1" ${items[@]+"${items[@]}"}
}

# take_source NAME KIND PROBLEM LEFT: adds one source to rows and to the archive; LEFT sources follow, which get their share of it.
take_source() {
  local name=$1 problem=$3 state=failed size=null modified=null packed='' asked='' journal_text=''
  local lines=0 bytes=0 offset=null cut=false last='[]' row error=null counts heading=''
  local window=$source_bytes_max
  local room=$(((archive_bytes_max - archive_bytes) / ($4 + 1) - heading_bytes - name_bytes_max))
  local characters=$(((room - room % 3) * 4 / 3))
  if ((window > bytes_max - text_bytes)); then window=$((bytes_max - text_bytes)); fi
  if [[ $compressed == false ]] && ((window > room)); then window=$((room - room % 3)); fi
  while [[ -z $problem ]]; do
    if ((window < window_bytes_min)); then window=0; fi
    "take_$2" "$window" "$characters"
    if ((${#packed} <= characters)); then break; fi
    # Nobody knows how well the rest of it compresses; what fits uncompressed fits.
    window=$((window / 3 > room * 9 / 10 ? window / 3 : room * 9 / 10))
  done
  if [[ -n $problem ]]; then
    state=failed size=null modified=null
    failed=$((failed + 1))
    first_problem=${first_problem:-${name:0:name_bytes_max}: $problem}
    rune_json_string error "${problem:0:last_line_bytes_max}"
  elif [[ -n $packed ]]; then
    # shellcheck disable=SC2207
    counts=($(unpack | wc -lc))
    lines=${counts[0]} bytes=${counts[1]}
    if ((bytes > 0)); then
      last_lines_of last
      if ((text_bytes > 0)); then heading=$'\n'; fi
      heading+="==> ${name:0:name_bytes_max} <=="$'\n'
      headings+=("$heading")
      packs+=("$packed")
      archive_bytes=$((archive_bytes + ${#packed} * 3 / 4 + heading_bytes + name_bytes_max))
      offset=$((text_bytes + ${#heading}))
      text_bytes=$((offset + bytes))
    fi
  fi
  if [[ $state == taken ]] && ((bytes < size)); then
    cut=true
    truncated=true
  fi
  if [[ $2 == journal ]]; then size=null; fi
  rune_json_object row "name=${name:0:name_bytes_max}" "kind=$2" "state=$state" "size_bytes:=$size" "modified:=$modified" \
    "lines:=$lines" "bytes:=$bytes" "offset_bytes:=$offset" "truncated:=$cut" "last_lines:=$last" "error:=$error"
  rows+=(":=$row")
}

# print_archive: the sources under their headings. Members of gzip that follow one another are one text.
print_archive() {
  local i
  for ((i = 0; i < ${#packs[@]}; i++)); do
    printf %s "${headings[i]}" | if [[ $compressed == true ]]; then gzip -c; else cat; fi
    printf %s "${packs[i]}" | base64 -d
  done
}

rune_init
rune_read_only

since_epoch=0 lines_max='' source_bytes_max='' bytes_max='' last_lines='' compressed='' allowed=''
kinds=() names=() problems=() rows=() headings=() packs=()
declare -A known
known=()
left_out=0 failed=0 archive_bytes=0 text_bytes=0 last_json_bytes=0 truncated=false first_problem=''

need base64 cat head readlink stat tail timeout tr wc
if [[ ! -d /proc/self/fd ]]; then rune_error 2 'This node has no readable /proc' '{"missing":"/proc"}'; fi
integer lines_max lines 1000 1 1000000
integer source_bytes_max source_bytes_max 1048576 1024 8388608
integer bytes_max bytes_max 8388608 1024 33554432
integer last_lines last_lines 10 0 50
rune_param -v compressed compress true
if [[ $compressed != true || -z $(type -P gzip) ]]; then compressed=false; fi
read_since
read_sources

child="$(declare -f is_plain pack read_file); read_file \"\$@\""
for ((at = 0; at < ${#kinds[@]}; at++)); do
  rune_progress $((100 * at / ${#kinds[@]})) "reading ${names[at]:0:name_bytes_max}"
  take_source "${names[at]}" "${kinds[at]}" "${problems[at]}" $((${#kinds[@]} - at - 1))
done

list=''
rune_json_array list ${rows[@]+"${rows[@]}"}
if ((failed == ${#kinds[@]})); then
  rune_error_kv 3 "None of the sources could be read. $first_problem" "sources:=$list"
fi
if ((left_out > 0)); then truncated=true; fi
rune_out "message=$((${#kinds[@]} - failed)) of $((${#kinds[@]} + left_out)) sources read, $text_bytes bytes"
rune_out sources:="$list"
rune_out sources_left_out:="$left_out"
rune_out text_bytes:="$text_bytes"
rune_out truncated:="$truncated"
rune_out compressed:="$compressed"
if ((${#packs[@]} > 0)); then
  if [[ $compressed == true ]]; then rune_out "archive=$(print_archive | base64 -w0)"; else rune_out "archive_plain=$(print_archive | base64 -w0)"; fi
fi
rune_finish ''
