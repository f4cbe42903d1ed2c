#!/usr/bin/env bash
set -euo pipefail

if ! declare -F rune_init >/dev/null; then
  # shellcheck source=plugins/lib/rune_bpcs.sh
  source "$(dirname "$0")/rune_bpcs.sh"
  # shellcheck source=plugins/lib/basics.sh
  source "$(dirname "$0")/lib/basics.sh"
  # shellcheck source=plugins/lib/call.sh
  source "$(dirname "$0")/lib/call.sh"
  # shellcheck source=plugins/lib/allow-list.sh
  source "$(dirname "$0")/lib/allow-list.sh"
fi

files_listed_max=200
# What find may print before it is stopped: some 100,000 files.
listing_bytes_max=16777216
depth_max=16
search_seconds=60
command_seconds=300
look_seconds=10
remove_at_once=500
descriptors_max=1000

# in_directory DIRECTORY: enters it, if the kernel says that it is the one of that path and no link leads elsewhere.
in_directory() {
  local real
  if ! cd -P -- "$1/" 2>/dev/null; then return 1; fi
  real=$(readlink -n /proc/self/cwd && printf .) || return 1
  [[ ${real%.} == "$1" ]]
}

# add_item ITEM FREED FILES COMMAND PRIVILEGE ERROR: COMMAND and ERROR may be empty.
add_item() {
  local row command=null error=null
  if [[ -n $4 ]]; then rune_json_string command "$4"; fi
  if [[ -n $6 ]]; then
    rune_json_string error "${6:0:line_chars_max}"
    faults=$((faults + 1))
    first_fault=${first_fault:-$1: $6}
  fi
  rune_json_object row "item=$1" "freed_bytes:=$2" "files:=$3" "command:=$command" "privilege=$5" "error:=$error"
  items+=(":=$row")
  freed_bytes=$((freed_bytes + $2))
}

# choose_privilege COMMAND…: sets privilege, as, and problem where this user may not run it.
choose_privilege() {
  local argument line
  as=() problem='' privilege=none
  if ((EUID == 0)); then
    privilege=root
    return
  fi
  if type -P sudo >/dev/null; then
    call "$look_seconds" sudo -n -l -- "${@}"
    if ((status == 0)); then
      privilege=sudo as=(sudo -n --)
      return
    fi
  fi
  line="$(id -un) ALL=(root) NOPASSWD: $1"
  shift
  for argument; do
    argument=${argument//\\/\\\\} argument=${argument//=/\\=} argument=${argument//:/\\:}
    line+=" ${argument//,/\\,}"
  done
  problem="This user may not do it. A line in sudoers allows it: $line"
  denied=1
}

# run_item ITEM MEASURE COMMAND…: MEASURE sets bytes and files to what can go: before the command, and again after it. For a dry
# run it also sets goes_bytes and goes_files to what the command would remove.
run_item() {
  local item=$1 measure=$2 as=() problem privilege bytes=0 files=0 goes_bytes=0 goes_files=0 had_bytes had_files
  shift 2
  rune_progress "$progress" "$item"
  choose_privilege ${@+"$@"}
  "$measure"
  if rune_dry_run || [[ -n $problem ]]; then
    if [[ -n $problem ]]; then goes_bytes=0 goes_files=0; fi
    add_item "$item" "$goes_bytes" "$goes_files" "${as[*]-}${as[0]+ }$*" "$privilege" "$problem"
    return
  fi
  had_bytes=$bytes had_files=$files
  call "$command_seconds" ${as[@]+"${as[@]}"} ${@+"$@"}
  if ((status == 124)); then
    problem="it did not end within $command_seconds s"
  elif ((status != 0)); then
    problem="it ended with status $status: ${output%%$'\n'*}"
  fi
  "$measure"
  bytes=$((had_bytes > bytes ? had_bytes - bytes : 0)) files=$((had_files > files ? had_files - files : 0))
  add_item "$item" "$bytes" "$files" "${as[*]-}${as[0]+ }$*" "$privilege" "$problem"
}

# measure_journal: archived journals; journald removes the oldest of each directory, by the time that stands in their names.
measure_journal() {
  local directory listed line time sizes=() limit=0 size name kept=''
  local archived='@[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{16})[.]journal$' broken='@([0-9a-f]{16})-[0-9a-f]{16}[.]journal~$'
  bytes=0 files=0 goes_bytes=0 goes_files=0
  if [[ -n $journal_keep_days ]]; then limit=$((started_at - journal_keep_days * 86400)); fi
  for directory in ${journal_directories[@]+"${journal_directories[@]}"}; do
    if [[ ! -d $directory ]]; then continue; fi
    listed=$(timeout -s KILL "$search_seconds" find "$directory" -xdev -maxdepth 2 -type f \( -name '*@*.journal' -o -name '*@*.journal~' \) \
      -printf '%h\t%b\t%T@\t%f\n' 2>/dev/null | head -c "$listing_bytes_max") || :
    split_lines "$listed"
    sizes=()
    for line in ${lines[@]+"${lines[@]}"}; do
      name=${line##*$'\t'} size=${line#*$'\t'} time=${line%$'\t'*}
      time=${time##*$'\t'}
      time=${time%%.*} size=${size%%$'\t'*}
      if ! [[ $name =~ $archived || $name =~ $broken ]]; then continue; fi
      if ((16#${BASH_REMATCH[1]} / 1000000 < time)); then time=$((16#${BASH_REMATCH[1]} / 1000000)); fi
      sizes+=("${line%%$'\t'*}"$'\t'"$time"$'\t'"$((size * 512))")
      bytes=$((bytes + size * 512))
      files=$((files + 1))
    done
    if ((${#sizes[@]} == 0)); then continue; fi
    # The newest of each directory first: they are kept as long as they fit and are new enough.
    split_lines "$(printf '%s\n' ${sizes[@]+"${sizes[@]}"} | sort -t $'\t' -k1,1 -k2,2nr)"
    kept=''
    for line in ${lines[@]+"${lines[@]}"}; do
      size=${line##*$'\t'} name=${line%%$'\t'*} time=${line#*$'\t'}
      time=${time%%$'\t'*}
      if [[ $name != "${kept#*:}" ]]; then kept=0:$name; fi
      kept=$((${kept%%:*} + size)):$name
      if { [[ -n $journal_keep_mib ]] && ((${kept%%:*} > journal_keep_mib * 1048576)); } || ((time < limit)); then
        goes_bytes=$((goes_bytes + size))
        goes_files=$((goes_files + 1))
      fi
    done
  done
}

# measure_packages: packages that were downloaded; all of them go.
measure_packages() {
  local directory listed size
  bytes=0 files=0
  for directory in ${package_cache_directories[@]+"${package_cache_directories[@]}"}; do
    if [[ ! -d $directory ]]; then continue; fi
    listed=$(timeout -s KILL "$search_seconds" find "$directory" -xdev -maxdepth "$depth_max" -type f -name "$package_files" -printf '%b\n' \
      2>/dev/null | head -c "$listing_bytes_max") || :
    split_lines "$listed"
    for size in ${lines[@]+"${lines[@]}"}; do bytes=$((bytes + size * 512)); done
    files=$((files + ${#lines[@]}))
  done
  goes_bytes=$bytes goes_files=$files
}

clean_journal() {
  local command
  if ! type -P journalctl >/dev/null; then
    add_item journal 0 0 '' none 'this node has no journalctl'
    return
  fi
  command=("$(type -P journalctl)")
  if [[ -n $journal_keep_mib ]]; then command+=("--vacuum-size=${journal_keep_mib}M"); fi
  if [[ -n $journal_keep_days ]]; then command+=("--vacuum-time=${journal_keep_days}d"); fi
  run_item journal measure_journal ${command[@]+"${command[@]}"}
}

clean_packages() {
  local manager found='' package_files
  for manager in apt-get dnf yum; do
    if ! type -P "$manager" >/dev/null; then continue; fi
    # yum is a name of dnf where there are both.
    if [[ $manager == yum && $found == *dnf* ]]; then continue; fi
    found+=" $manager"
    if [[ $manager == apt-get ]]; then
      package_files='*.deb'
      run_item "$manager" measure_packages "$(type -P "$manager")" clean
    else
      package_files='*.rpm'
      run_item "$manager" measure_packages "$(type -P "$manager")" clean packages
    fi
  done
  if [[ -z $found ]]; then add_item package_caches 0 0 '' none 'this node has none of apt-get, dnf and yum'; fi
}

# base_of VAR PATTERN: the directory above all that it can match.
base_of() {
  local above=${2%%['[*?']*}
  printf -v "$1" %s "${above%/*}"
}

# find_rotated CUTOFF: fills paths, ids, sizes and times with the files that the allow-list matches and that are old enough, the largest first.
find_rotated() {
  local pattern base listed line field expression='' entry seen=' ' cutoff=$1 status=0
  local -A found
  found=()
  for pattern in ${rotated_logs[@]+"${rotated_logs[@]}"}; do
    regex_of entry "$pattern"
    expression+="|$entry"
  done
  expression="^(${expression#|})\$"
  listed=''
  for pattern in ${rotated_logs[@]+"${rotated_logs[@]}"}; do
    base_of base "$pattern"
    if [[ $seen == *" $base/ "* || ! -e ${base:-/} ]]; then continue; fi
    seen+="$base/ "
    if [[ -z $base ]] || ! in_directory "$base"; then
      search_fault="${base:-/} is a link or cannot be entered: the configuration must name real directories"
      continue
    fi
    status=0
    # A name may look like anything: what could be taken for something else is left alone, with all below it.
    line=$(timeout -s KILL "$search_seconds" find . -xdev -maxdepth "$depth_max" -name "*[[:cntrl:]\"'\\\\]*" -prune -o -type f \
      ! -newermt "@$cutoff" -printf "%b %D:%i %n %T@ ${base//%/%%}/%P\n" 2>/dev/null | head -c "$listing_bytes_max") || status=$?
    if ((status > 1)); then search_fault="the search in $base ended with status $status"; fi
    listed+=$line$'\n'
  done
  cd /
  split_lines "$(printf %s "$listed" | sort -k1,1nr)"
  for line in ${lines[@]+"${lines[@]}"}; do
    entry=/${line#* /}
    if [[ -n ${found[$entry]-} || ! $entry =~ $expression ]] || ! is_plain "$entry"; then continue; fi
    found[$entry]=1
    if ((${#paths[@]} == files_max)); then
      beyond=$((beyond + 1))
      continue
    fi
    # shellcheck disable=SC2206
    field=(${line%% /*})
    paths+=("$entry")
    sizes+=($((field[0] * 512)))
    ids+=("${field[1]}")
    times+=("${field[3]%%.*}")
    if ((field[2] > 1)); then reasons+=('it has several names, and removing one frees nothing'); else reasons+=(''); fi
  done
}

# find_open: notes in reasons which of the files a process has open, or may have: anybody can open more than is looked at. Names are
# compared first, because to ask a dead file system about other files could take for ever.
find_open() {
  local i listed line process descriptors=() id status=0
  local -A wanted open_ids unsure
  wanted=() open_ids=() unsure=()
  for ((i = 0; i < ${#paths[@]}; i++)); do wanted[/${paths[i]##*/}]=1; done
  for process in /proc/[0-9]*; do
    if [[ ! -r $process/fd && -d $process ]]; then processes_unreadable=$((processes_unreadable + 1)); fi
  done
  listed=$(timeout -s KILL "$search_seconds" find /proc/[0-9]*/fd -maxdepth 1 -type l -lname '/*' ! -lname '/dev/*' -printf '%p %l\n' 2>/dev/null |
    head -c "$listing_bytes_max") || status=$?
  # find itself ends with 1 where processes end meanwhile.
  if ((status > 1 || ${#listed} >= listing_bytes_max - 1)); then
    for ((i = 0; i < ${#paths[@]}; i++)); do reasons[i]=${reasons[i]:-too much is open to tell whether it is}; done
    return 0
  fi
  split_lines "$listed"
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ -z ${wanted[/${line##*/}]-} || ! $line =~ ^(/proc/[0-9]+/fd/[0-9]+)\  ]]; then continue; fi
    if ((${#descriptors[@]} < descriptors_max)); then descriptors+=("${BASH_REMATCH[1]}"); else unsure[/${line##*/}]=1; fi
  done
  if ((${#descriptors[@]} == 0)); then return 0; fi
  listed=$(timeout -s KILL "$look_seconds" stat -L --printf '%d:%i\n' -- ${descriptors[@]+"${descriptors[@]}"} 2>/dev/null) || :
  split_lines "$listed"
  for id in ${lines[@]+"${lines[@]}"}; do open_ids[$id]=1; done
  for ((i = 0; i < ${#paths[@]}; i++)); do
    if [[ -n ${open_ids[${ids[i]}]-} ]]; then
      reasons[i]='a process has it open'
    elif [[ -n ${unsure[/${paths[i]##*/}]-} ]]; then
      reasons[i]='a process may have it open: more have files of this name open than are looked at'
    fi
  done
}

# look_again CUTOFF INDEX…: all in the directory that was entered. Notes in reasons which of the files are no longer what was found.
look_again() {
  local cutoff=$1 i line found field names=()
  local -A facts
  facts=()
  shift
  for i; do names+=("./${paths[i]##*/}"); done
  found=$(stat --printf '%d:%i %h %Y %f %n\n' -- ${names[@]+"${names[@]}"} 2>/dev/null) || :
  split_lines "$found"
  for line in ${lines[@]+"${lines[@]}"}; do facts[${line#* ./}]=${line%% ./*}; done
  for i; do
    if [[ -n ${reasons[i]} ]]; then continue; fi
    # shellcheck disable=SC2206
    field=(${facts[${paths[i]##*/}]-})
    if ((${#field[@]} == 0)); then
      reasons[i]='it has gone meanwhile'
    elif [[ ${field[0]} != "${ids[i]}" || ${field[1]} != 1 ]] || ((field[2] > cutoff || (16#${field[3]} & 16#f000) != 16#8000)); then
      reasons[i]='it has changed meanwhile'
    fi
  done
}

# remove_in DIRECTORY CUTOFF INDEX…: removes files of one directory, by their names in it: whatever becomes of its path, nothing of another
# directory goes.
remove_in() {
  local directory=$1 cutoff=$2 i names=() said=''
  shift 2
  if ! in_directory "$directory"; then
    for i; do reasons[i]='its directory has changed meanwhile'; done
    return
  fi
  look_again "$cutoff" "$@"
  if [[ ! -w . ]]; then
    for i; do
      if [[ -z ${reasons[i]} ]]; then
        reasons[i]='this user may not remove files from its directory'
        failed=$((failed + 1))
      fi
    done
    return
  fi
  if rune_dry_run; then return; fi
  for i; do
    if [[ -z ${reasons[i]} ]]; then names+=("./${paths[i]##*/}"); fi
  done
  if ((${#names[@]} == 0)); then return; fi
  said=$(rm -f -- ${names[@]+"${names[@]}"} 2>&1 | head -c "$line_chars_max") || :
  for i; do
    if [[ -z ${reasons[i]} ]] && [[ -e ./${paths[i]##*/} || -L ./${paths[i]##*/} ]]; then
      reasons[i]="it could not be removed: ${said%%$'\n'*}"
      failed=$((failed + 1))
    fi
  done
}

clean_rotated() {
  local cutoff=$((started_at - rotated_logs_keep_days * 86400)) i state=removed outcome freed=0 files=0 left=0 row reason moment error='' directory
  local paths=() ids=() sizes=() times=() reasons=() indexes=() search_fault='' failed=0 privilege=none
  local -A members
  members=()
  rune_progress "$progress" rotated_logs
  find_rotated "$cutoff"
  find_open
  for ((i = 0; i < ${#paths[@]}; i++)); do members[${paths[i]%/*}]+=" $i"; done
  for directory in "${!members[@]}"; do
    # shellcheck disable=SC2206
    indexes=(${members[$directory]})
    for ((i = 0; i < ${#indexes[@]}; i += remove_at_once)); do
      remove_in "$directory" "$cutoff" "${indexes[@]:i:remove_at_once}"
      cd /
    done
  done
  if rune_dry_run; then state=would_remove; fi
  for ((i = 0; i < ${#paths[@]}; i++)); do
    reason=null outcome=$state
    if [[ -n ${reasons[i]} ]]; then
      left=$((left + 1))
      outcome=left
      error=${error:-${reasons[i]}}
      rune_json_string reason "${reasons[i]:0:line_chars_max}"
    else
      freed=$((freed + sizes[i]))
      files=$((files + 1))
    fi
    if ((${#listed_files[@]} == files_listed_max)); then
      not_listed=$((not_listed + 1))
      continue
    fi
    json_moment moment "${times[i]}"
    rune_json_object row "path=${paths[i]:0:1024}" "bytes:=${sizes[i]}" "modified:=$moment" "state=$outcome" "reason:=$reason"
    listed_files+=(":=$row")
  done
  files_left=$left
  if ((failed == 0)); then error=$search_fault; else error="$failed of ${#paths[@]} files could not be removed: $error"; fi
  if ((EUID == 0)); then privilege=root; fi
  add_item rotated_logs "$freed" "$files" '' "$privilege" "$error"
}

# read_space: sets lines to "AVAILABLE MOUNT" of the file systems in question.
read_space() {
  local directory directories=()
  for directory in ${spaces[@]+"${spaces[@]}"}; do
    if [[ -d $directory ]]; then directories+=("$directory"); fi
  done
  lines=()
  if ((${#directories[@]} == 0)); then return 0; fi
  split_lines "$(timeout -k 1 "$look_seconds" df -B1 --output=avail,target -- ${directories[@]+"${directories[@]}"} 2>/dev/null)" || :
}

# read_parameters: the action ends where nothing is chosen.
read_parameters() {
  local directory pattern
  rune_param -v packages package_caches false
  integer files_max files_max 1000 1 10000
  if rune_has_param journal_keep_mib; then integer journal_keep_mib journal_keep_mib 1 1 1048576; fi
  if rune_has_param journal_keep_days; then integer journal_keep_days journal_keep_days 1 1 36500; fi
  if rune_has_param rotated_logs_keep_days; then integer rotated_logs_keep_days rotated_logs_keep_days 1 1 36500; fi
  if [[ -n $journal_keep_mib$journal_keep_days ]]; then
    read_patterns journal_directories journal_directories
    spaces+=(${journal_directories[@]+"${journal_directories[@]}"})
  fi
  if [[ $packages == true ]]; then
    read_patterns package_cache_directories package_cache_directories
    spaces+=(${package_cache_directories[@]+"${package_cache_directories[@]}"})
  fi
  if [[ -n $rotated_logs_keep_days ]]; then
    read_patterns rotated_logs rotated_logs
    for pattern in ${rotated_logs[@]+"${rotated_logs[@]}"}; do
      base_of directory "$pattern"
      spaces+=("${directory:-/}")
    done
  fi
  if [[ -z $journal_keep_mib$journal_keep_days$rotated_logs_keep_days && $packages != true ]]; then
    rune_error 1 'Choose what to clean: journal_keep_mib, journal_keep_days, package_caches or rotated_logs_keep_days' \
      '{"field":"package_caches"}'
  fi
}

rune_init

packages='' journal_keep_mib='' journal_keep_days='' rotated_logs_keep_days='' files_max='' progress=0
journal_directories=() package_cache_directories=() rotated_logs=() spaces=() items=() listed_files=()
freed_bytes=0 faults=0 first_fault='' denied='' files_left=0 not_listed=0 beyond=0 processes_unreadable=0
printf -v started_at '%(%s)T' -1

need df find head id readlink rm sort stat timeout
if [[ ! -d /proc/self/fd ]]; then rune_error 2 'This node has no readable /proc' '{"missing":"/proc"}'; fi
read_parameters

declare -A space_before space_after
space_before=() space_after=()
read_space
for line in ${lines[@]+"${lines[@]}"}; do
  if [[ $line =~ ^\ *([0-9]+)\ (/.*)$ ]]; then space_before[${BASH_REMATCH[2]}]=${BASH_REMATCH[1]}; fi
done

if [[ -n $rotated_logs_keep_days ]]; then clean_rotated; fi
progress=40
if [[ $packages == true ]]; then clean_packages; fi
progress=70
if [[ -n $journal_keep_mib$journal_keep_days ]]; then clean_journal; fi

list='' mounts=()
rune_json_array list ${items[@]+"${items[@]}"}
if ((faults == ${#items[@]} && freed_bytes == 0)); then
  code=3
  if [[ -n $denied ]]; then code=4; fi
  rune_error_kv "$code" "Nothing could be cleaned. $first_fault" "items:=$list"
fi

if ! rune_dry_run; then
  read_space
  for line in ${lines[@]+"${lines[@]}"}; do
    if [[ $line =~ ^\ *([0-9]+)\ (/.*)$ ]]; then space_after[${BASH_REMATCH[2]}]=${BASH_REMATCH[1]}; fi
  done
fi
for mount in "${!space_before[@]}"; do
  rune_json_object row "mount=${mount:0:1024}" "available_bytes_before:=${space_before[$mount]}" \
    "available_bytes_after:=${space_after[$mount]-null}"
  mounts+=(":=$row")
done

message="Freed $freed_bytes bytes"
if rune_dry_run; then message="Would free $freed_bytes bytes"; fi
if ((faults > 0)); then message+="; $faults of ${#items[@]} items failed"; fi
rune_out "message=$message"
rune_out freed_bytes:="$freed_bytes"
rune_out items:="$list"
rune_json_array list ${listed_files[@]+"${listed_files[@]}"}
rune_out rotated_logs:="$list"
rune_out rotated_logs_left:="$files_left"
rune_out rotated_logs_not_listed:="$not_listed"
rune_out rotated_logs_beyond_limit:="$beyond"
rune_out processes_unreadable:="$processes_unreadable"
rune_json_array list ${mounts[@]+"${mounts[@]}"}
rune_out file_systems:="$list"
rune_finish ''
