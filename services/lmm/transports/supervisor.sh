# shellcheck shell=bash
# What runs on the node around one plugin: starts it as its own fresh process, feeds it, ends it, and says how it ended.
# bash 4.2 syntax; no here-document, here-string or process substitution; while all goes well, no program but bash itself.
# docs/node-protocol.md describes the protocol. Comment lines and indentation are taken out before it is sent.
#
# bash --noprofile --norc -p evaluates it in the C locale. The counted body sets before it:
#   NONCE          begins every frame of this run; the plugin never sees it
#   TOKEN          begins the one frame that the plugin's own process prints
#   RUN_ID         becomes RUNE_RUN_ID in the plugin's environment; empty in a spare shell, which supervisor-spare.sh describes
#   DELIVERY       stream or directory
#   LEAVES         yes: what is alive after a normal end stays alive
#   SCOPE          yes: the plugin's process gets a scope of systemd of its own, if the node gives it one
#   BECOME         yes: sudo or doas started this bash; its $1 is then the process that leads the session
#   LIBRARY_BYTES LIBRARY_REST_BYTES HELPER_BYTES SCRIPT_BYTES FILES INPUT_BYTES   what follows on stdin, in this order;
#                  HELPER_BYTES is 0 in a directory, FILES (BYTES:PATH ...) is empty in a stream. The first part of a library
#                  evaluates its rest when it needs it
#   REST_BYTES     how long the text behind ": rest" below is: bash parses it only when it is needed
#   ARGUMENTS ENVIRONMENT   shell words: what the plugin gets as "$@", and what is exported to it
#   COMMANDS OS    what the node must have: names or paths; ID:LOWEST_VERSION, of which one is enough
#   LIMIT GRACE LEASE   in hundredths of a second
#   FIRST_LINE     the number that this bash gives to the first line: 0 before bash 5.1
# and the remote command set LOCALE: empty, or v and the LC_ALL of the login; and H: all this text.
#
# Two processes: the main one waits for the plugin and says how it ended; its watchdog holds the lease, feeds the plugin and
# stops it. Whichever dies first, the other ends the plugin.
# shellcheck disable=SC2153,SC2317 # the variables above come from the body; what stands behind the end is evaluated too

set +o posix
unset TMOUT GLOBIGNORE FUNCNEST BASH_XTRACEFD
# -N reads blocks. Before 4.4 it takes the byte 255 for an end, and no count at all for a count of 0.
COUNTED=-N
[ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -ge 44 ] || COUNTED="-d '' -n"
RS=$'\036' NL=$'\n'
PARSED='' NOW=0 WAIT=0 LAST=0 FIRST=0 PLUGIN='' WATCHDOG='' FOLDER='' SAID='' REASON='' JOBS='' SESSION='' LOGIN='' ANCESTORS='' OTHERS=' ' LEFT=() UNSURE='' BORN=0 SINCE=0 BEGUN=0 FORKS='' LOOK=look_for_left

# fd 3 and 4: the channel's stdout and stderr; 5: the lease; 6: what jobs said; 7: the plugin's stdin; 8 and 9: to and from
# the watchdog. Nothing that login files left open there reaches the plugin.
exec 3>&1 4>&2 5<&0 6>&- 7>&- 8>&- 9>&- 2>/dev/null

# Whose session is this run's own, and who must not stay stopped: sudo stops itself when this process is stopped.
LEADERS=" $$ " AWAKE=("$$")
if [ "$BECOME" = yes ]; then
  LEADERS+="$PPID ${1-} " AWAKE+=("$PPID")
  cd -- "$HOME" || cd /
fi

# To be called before anything of the rest is.
parse_rest() {
  [ -n "$PARSED" ] || { PARSED=yes && eval "${H: -REST_BYTES}"; }
}

# One write, so that no byte of the plugin can come in between.
frame() { printf %s "$RS$NONCE $1$NL"; }

not_started() {
  printf 'rune: %s\n' "$1" >&4
  exit 97
}

remove_folder() { [ -z "$FOLDER" ] || rm -rf -- "$FOLDER"; }

# Sets NOW in hundredths of a second, by a clock that nobody sets.
now() {
  local up
  if read -r up _ </proc/uptime; then NOW=$((10#${up/./})); else NOW=$((SECONDS * 100)); fi
}

# Sets WAIT to so many hundredths of a second as read -t takes them: at least one.
wait_for() {
  local hundredths=$(($1 > 0 ? $1 : 1))
  printf -v WAIT '%d.%02d' $((hundredths / 100)) $((hundredths % 100))
}

# Sets LAST to the process id that was given out last, or fails.
last_pid() { read -r _ _ _ _ LAST </proc/loadavg; }

# Sets NUMBER to how many processes and threads the kernel has made so far, or fails.
count_forks() {
  local word
  while read -r word NUMBER _; do [ "$word" != processes ] || return 0; done </proc/stat
  return 1
}

# Reads so many bytes of the upload as the variable $1 says into the variable $2. No -t: bash would then ask the clock at
# every byte, which makes 30 KB cost 50 ms; an upload that stalls ends with its channel.
take() { [ "${!1}" -eq 0 ] || eval "IFS= read -r $COUNTED ${!1} $2"; }

# --- the plugin's own shell, begun early: it reads library and plugin while this one still parses what follows ---

announce() {
  [ -z "$COMMANDS$OS" ] || { parse_rest && check_requirements; }
  frame begin >&3
  frame begin >&4
}
[ -z "$RUN_ID" ] || announce
# Until the watchdog runs, the plugin's shell evaluates nothing, and ends with its pipe. Bash ends this process by itself where
# it cannot start another.
trap '[ $? -eq 97 ] || printf "rune: no process can be started\n" >&4; exec 7>&-; remove_folder; exit 97' EXIT

# In a spare shell: the library is read, and evaluated, long before it is known how long the plugin is.
UNTIL_RUN=''
# shellcheck disable=SC2016 # for the plugin's own shell to expand
[ -n "$RUN_ID" ] || UNTIL_RUN='echo;eval "set --;unset RUNE_L;$RUNE_L";IFS= read -r RUNE_P||exit 97;set -- 0 0 $RUNE_P
'
# Reads library and plugin straight from the channel, and says so; then waits for what make_feed makes, not for ever: where the login may
# have no process more, bash makes the watchdog when this one has ended, and says that nothing ran. The shipped library is
# evaluated meanwhile, and faster since there is no locale yet; any other may look at its environment, or do something.
# shellcheck disable=SC2016 # for the plugin's own shell to expand
PLUGIN_SHELL='RUNE_L= RUNE_H= RUNE_S=
[ $1 = 0 ]||IFS= read -r '$COUNTED' $1 RUNE_L<&5||exit 97
[ $2 = 0 ]||IFS= read -r '$COUNTED' $2 __rune_rest<&5||exit 97
'$UNTIL_RUN'[ $3 = 0 ]||IFS= read -r '$COUNTED' $3 RUNE_H<&5||exit 97
[ $4 = 0 ]||IFS= read -r '$COUNTED' $4 RUNE_S<&5||exit 97
echo;exec >&3 3>&- 5<&-
[ $2 = 0 ]||eval "set --;unset RUNE_L;$RUNE_L"
set --
IFS= read -r -t 60 -N 8 RUNE_P&&IFS= read -r -N $((10#$RUNE_P)) RUNE_P||exit 97
eval "$RUNE_P"'
# On one line, for the numbers of the plugin's lines.
PLUGIN_SHELL=${PLUGIN_SHELL//$NL/;}
[ "$FIRST_LINE" -eq 1 ] || PLUGIN_SHELL=$NL$PLUGIN_SHELL
LIBRARY='' REST='' SCRIPT='' INPUT=''
if [ "$DELIVERY" = directory ]; then
  if ! { take LIBRARY_BYTES LIBRARY && take LIBRARY_REST_BYTES REST && take SCRIPT_BYTES SCRIPT; }; then
    not_started 'the upload ended early'
  fi
  LIBRARY+=$REST
  # A limit on the size of files is to be an error here, not the end of this process.
  trap '' XFSZ
  parse_rest
  make_folder
  trap - XFSZ
  LIBRARY_BYTES=0 LIBRARY_REST_BYTES=0 SCRIPT_BYTES=0
fi
set -m
if [ "$SCOPE" = no ] || ! { parse_rest && start_in_scope; }; then
  coproc RUNE { exec -c "$BASH" --noprofile --norc -c "$PLUGIN_SHELL" plugin.sh "$LIBRARY_BYTES" "$LIBRARY_REST_BYTES" "$HELPER_BYTES" "$SCRIPT_BYTES"; } 2>&4 4>&-
  PLUGIN=$!
fi

# --- what of the plugin is alive ---

# Sets STATE, PARENT, GROUP, ITS_SESSION and BORN of the process $1; STATE is empty if there is none.
# shellcheck disable=SC2086 # behind the name, stat holds one letter and numbers
read_stat() {
  local path=/proc/$1/stat stat='' name
  STATE=''
  IFS= read -r stat <"$path" || return 0
  # The last parenthesis, from the end: ## would try every place, each time with all that is before it.
  name=${stat%)*}
  set -- ${stat:${#name}+2}
  if [ $# -lt 20 ]; then
    # The name holds a newline.
    IFS= read -r -d '' stat <"$path"
    name=${stat%)*}
    set -- ${stat:${#name}+2}
  fi
  STATE=${1-} PARENT=${2-} GROUP=${3-} ITS_SESSION=${4-} BORN=${20-0}
}

# Sets NUMBER to the kernel's number of the login that the process $1 belongs to: what a login starts keeps it, whatever else it
# leaves behind. Fails where logins have none.
read_login() {
  NUMBER=''
  IFS= read -r NUMBER <"/proc/$1/sessionid"
  [ "${NUMBER:-4294967295}" -ne 4294967295 ]
}

# Sets LOGIN to the number that was made for this login; none if there is none, or if its server has the same.
find_login() {
  local pid=${LEADERS% } own round
  pid=${pid##* } LOGIN=none
  read_login "$pid" || return
  own=$NUMBER
  for ((round = 0; round < 3; round++)); do
    read_stat "$pid"
    pid=$PARENT
    read_login "$pid"
    [ "$NUMBER" = "$own" ] || { LOGIN=$own && return; }
  done
}

# Whether the process $1 has left its parent $2, and began in this login.
has_escaped() {
  [ -n "$LOGIN" ] || find_login
  read_login "$1" && [ "$NUMBER" = "$LOGIN" ] && { read_login "$2"; [ "$NUMBER" != "$LOGIN" ]; }
}

# Sets ANCESTORS to the processes that this one comes from, and 1, which may be none where something else entered a container. Only
# they can adopt what the plugin has orphaned.
find_ancestors() {
  local STATE PARENT=$$ GROUP ITS_SESSION BORN
  ANCESTORS=' 1 '
  while [ "${PARENT:-0}" -gt 0 ]; do
    ANCESTORS+="$PARENT "
    read_stat "$PARENT"
    [ -n "$STATE" ] || return 0
  done
}

# Whatever the plugin starts is younger than the watchdog, without which its code does not begin.
mark() {
  [ "$FIRST" -gt 0 ] || FIRST=$WATCHDOG
  read_stat "$WATCHDOG"
  [ -n "$STATE" ] || read_stat self
  SINCE=${BORN:-0} SESSION=$ITS_SESSION
}

# Appends the process to LEFT if it is alive and the plugin's, or to UNSURE if that cannot be told.
look_at() {
  local pid=$1 words=''
  [ "$pid" != "$WATCHDOG" ] || return 0
  read_stat "$pid"
  case $STATE in Z | X | '') return 0 ;; esac
  # Only the plugin's own process is older than the watchdog.
  if [[ $pid == "$PLUGIN" && $BORN == "$PLUGIN_BORN" ]]; then
    LEFT+=("$pid")
    return 0
  fi
  # Older than the plugin, such as the sudo that this runs under, or a job of the login files.
  if [ "$BORN" -lt "$SINCE" ] || [ "$pid" = "$PPID" ]; then return 0; fi
  # Begun in the same tick, and before: unless the numbers have gone round.
  if [ "$BORN" -eq "$SINCE" ] && [ "$pid" -le "$FIRST" ] && [ "$FIRST" -le "$LAST" ]; then return 0; fi
  if [[ $GROUP == "$PLUGIN" ]]; then
    LEFT+=("$pid")
    return 0
  fi
  if [[ $pid == "$$" || $PARENT == "$$" || $GROUP == "$WATCHDOG" ]]; then return 0; fi
  # The session of this process alone: nobody but the plugin started anything in it since.
  if [[ $ITS_SESSION == "$SESSION" && $LEADERS == *" $SESSION "* ]]; then
    LEFT+=("$pid")
    return 0
  fi
  if [ "$COUNTED" = -N ]; then
    IFS= read -r -N 131072 words <"/proc/$pid/environ"
  else
    parse_rest
    read_environment "$pid"
  fi
  case $words in
    *"RUNE_RUN_ID=$RUN_ID"*) LEFT+=("$pid") ;;
    # Made for another run.
    *RUNE_RUN_ID=*) ;;
    *)
      # A session that this run shares with others: whose process it is, only its environment could say. What has escaped may
      # be of another run over the same connection: it is not killed.
      if [[ -z $words && $ITS_SESSION == "$SESSION" ]]; then
        UNSURE+="$pid "
      elif [[ $LOGIN != none ]] && has_escaped "$pid" "$PARENT"; then
        UNSURE+="$pid "
      fi
      ;;
  esac
}

# Whether process ids still grow since FIRST. In two seconds they do not go round; after that, FORKS tells how many were given out.
is_ordered() {
  local most NUMBER
  last_pid && [ "$FIRST" -le "$LAST" ] || return 1
  [ $((NOW - BEGUN)) -ge 200 ] || return 0
  [ "${FORKS:-none}" != none ] && read -r most </proc/sys/kernel/pid_max && count_forks && [ $((NUMBER - FORKS)) -lt $((most / 2)) ]
}

# Fills LEFT and UNSURE. Only processes that began after FIRST can be the plugin's, and its own, of which main knows the end; a range is
# looked up, a wide one is listed. Where the numbers may have gone round, all processes are listed.
# Most of what a busy node starts is others': that is seen here at a glance, since bash copies a function whenever it calls it.
look_for_left() {
  local from=$FIRST to pid entry pids words rounds=0 ordered=yes name state parent group session tty foreground flags born rest
  LEFT=() UNSURE=''
  if ! [ -r /proc/self/stat ]; then
    UNSURE=yes
    ! kill -0 -- "-$PLUGIN" || LEFT=("$PLUGIN")
    return 0
  fi
  now
  [ -z "${ORPHAN-}" ] || look_at "$PLUGIN"
  # What is forked while this looks is looked at too.
  while [ "$rounds" -lt 8 ]; do
    rounds=$((rounds + 1)) pids=()
    if is_ordered; then
      to=$LAST
      [ "$to" -ne "$from" ] || return 0
    else
      # No such figure, or the numbers began again from the start.
      from=0 to=2147483647 rounds=8 ordered='' LEFT=()
    fi
    if [ $((to - from)) -le 256 ]; then
      # Most are gone.
      eval "pids=({$((from + 1))..$to})"
    else
      for entry in /proc/[0-9]*; do [[ ${entry:6} -le $from ]] || pids+=("${entry:6}"); done
    fi
    for pid in "${pids[@]}"; do
      [[ -e /proc/$pid ]] || continue
      name=''
      if [ -z "$ordered" ]; then
        rest=''
        read -r _ name state parent group session tty foreground flags _ _ _ _ _ _ _ _ _ _ _ _ born rest <"/proc/$pid/stat"
      else
        read -r -n 120 _ name state parent group session tty foreground flags _ <"/proc/$pid/stat"
        rest=none
      fi
      # A name of up to 15 bytes may hold blanks, parentheses and newlines: then these words are not what they are taken for.
      words=${name: -1}$state$parent$group$session$tty$foreground$flags
      if [[ $words != ')'* || $words == ')'*')'* || -z $flags || -z $rest ]]; then
        look_at "$pid"
      elif [ -z "$ordered" ]; then
        # Older than all that the plugin started.
        ((born < SINCE && pid != PLUGIN)) || look_at "$pid"
      elif ((session <= FIRST && session != SESSION)); then
        continue
      elif ((session == SESSION)); then
        look_at "$pid"
      else
        # A session of after the plugin's start. It is others' if its leader has a parent from before that cannot have adopted it.
        case $OTHERS in *" $session "*) continue ;; esac
        [ -n "$ANCESTORS" ] || find_ancestors
        if ((parent > FIRST || parent == 0 || parent == PLUGIN)) || [[ $ANCESTORS == *" $parent "* ]]; then
          look_at "$pid"
        elif ((session == pid)); then
          OTHERS+="$session "
        fi
      fi
    done
    from=$to
  done
}

# --- the plugin ---

# Only these reach the plugin: exported functions, SHELLOPTS, BASH_ENV and whatever else a login sets do not.
# Sets EXPORTS to shell words.
find_environment() {
  local name word
  EXPORTS=''
  for name in PATH HOME USER LOGNAME SHELL LANG "${!LC_@}" TZ TMPDIR XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS \
    http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
    if [[ -n ${!name+set} && $name != LC_ALL ]]; then
      printf -v word %q "${!name}"
      EXPORTS+=" $name=$word"
    fi
  done
  [ -z "$LOCALE" ] || { printf -v word %q "${LOCALE#v}" && EXPORTS+=" LC_ALL=$word"; }
}

# Sets FEED: what the plugin's own shell evaluates, with its count. It already holds library and plugin. The plugin's first
# line stays line 1: everything before it stands on the same line.
make_feed() {
  local prologue started count
  printf -v started %q "$RS$TOKEN started$NL"
  prologue="unset RUNE_P;SECONDS=0;export RUNE_RUN_ID=$RUN_ID $ENVIRONMENT$EXPORTS;"
  # shellcheck disable=SC2016 # for the plugin's own shell to expand
  [ "$LIBRARY_REST_BYTES" -gt 0 ] || prologue+='eval "unset RUNE_L;$RUNE_L";'
  prologue+="printf %s $started;"
  if [ "$DELIVERY" = directory ]; then
    prologue+="unset RUNE_H RUNE_S;exec $RUN"
  else
    prologue+="set -- $ARGUMENTS;eval \"unset RUNE_H;\$RUNE_H\";eval \"unset RUNE_S;\$RUNE_S\""
  fi
  printf -v count %08d ${#prologue}
  FEED=$count$prologue
}

# --- the watchdog; its fd 0 comes from main and its fd 1 goes there ---

# Sets OVER or ORPHAN if main has said so or is dead. Never waits; fails if there is no news.
hear_main() {
  local word
  read -r -t 0 || return 1
  if IFS= read -r word; then OVER=yes; else ORPHAN=yes; fi
}

# Main must sleep in its wait before the plugin can end, or wait takes the end away before jobs has said what it was.
watchdog_await_main() {
  local rounds
  for ((rounds = 0; rounds < 100; rounds++)); do
    read_stat $$
    case $STATE in S | '') return ;; esac
    [ "$rounds" -lt 20 ] || { parse_rest && watchdog_nap 1; }
  done
}

watchdog_feed() {
  # A pipe holds at least one page: what fits never waits for the plugin to read.
  if [ "$INPUT_BYTES" -le 4096 ]; then
    printf %s "$FEED$INPUT" >&7
  else
    printf %s "$FEED" >&7
    printf %s "$INPUT" >&7 &
  fi
  exec 7>&-
  unset FEED INPUT
}

# Reads the lease until the plugin must stop, or is over. Sets REASON, OVER or ORPHAN.
watchdog_read_lease() {
  local line end heard left tick tick_most=50 status NUMBER
  now
  end=$((NOW + LIMIT)) heard=$NOW
  while :; do
    left=$((end - NOW)) tick=$((heard + LEASE - NOW))
    [ "$left" -gt 0 ] || { REASON=timeout && return; }
    # After a pause of this very process, what came meanwhile counts.
    [ "$tick" -gt 0 ] || read -r -t 0 -u 5 || { REASON=lease && return; }
    [ "$tick" -le "$left" ] || tick=$left
    [ "$tick" -le "$tick_most" ] || tick=$tick_most
    wait_for "$tick"
    IFS= read -r -t "$WAIT" -u 5 line
    status=$?
    now
    if [ "$status" -eq 0 ]; then
      heard=$NOW
    elif [ "$status" -le 128 ]; then
      REASON='cut'
      return
    fi
    # A word, or a part of it. What bash drops when the time is over in the middle of a line, the mediator says again.
    [ -z "$line" ] || { REASON=cancel && return; }
    kill -CONT "${AWAKE[@]}"
    ! hear_main || return
    if [ -z "$FORKS" ]; then
      # For main, which is_ordered asks when the plugin is over.
      FORKS=none tick_most=100
      [ $((NOW - BEGUN)) -ge 200 ] || ! count_forks || FORKS=$NUMBER
      printf 'forks %s\n' "$FORKS"
    fi
  done
}

watchdog() {
  set +m
  WATCHDOG=$BASHPID OVER='' ORPHAN=''
  local go='' seconds
  wait_for "$LEASE"
  seconds=$WAIT
  # The plugin's shell has read library and plugin; then comes the input. Without the word go nothing is ever evaluated.
  if IFS= read -r -u 6 go && take INPUT_BYTES INPUT <&5 && IFS= read -r -t "$seconds" -u 5 go && [ "$go" = go ]; then
    watchdog_await_main
    # What began until now is not the plugin's. On a busy node that is most of what is younger than the watchdog.
    ! last_pid || { FIRST=$LAST && printf 'first %s\n' "$FIRST"; }
    watchdog_feed
    watchdog_read_lease
  else
    exec 7>&-
    unset FEED INPUT
    REASON='cut'
    now
  fi
  parse_rest
  if [ -n "$REASON" ]; then
    # Main says "over" and then reads this; here it is said and then listened to. So one of the two always knows of the other,
    # and a stop that comes after the plugin's own end, as the end of the channel does, ends nothing that may stay alive.
    printf '%s %s\n' "$REASON" "$NOW"
    hear_main
    [ -n "$OVER" ] || watchdog_stop_plugin
  fi
  watchdog_guard
  # Main is dead and cannot clean up any more.
  mark
  now
  $LOOK
  kill_left $((NOW + GRACE))
  remove_folder
  kill -KILL -- "-$WATCHDOG"
}

# --- main ---

read_stat "$PLUGIN"
PLUGIN_BORN=$BORN
[ -n "${RUNE[1]-}" ] || not_started 'no process can be started'
# A spare shell waits here until the library is read: its end cannot be seen any more below, where this process itself may write.
[ -n "$RUN_ID" ] || read -r -u "${RUNE[0]}" || exit 97
exec 7>&"${RUNE[1]}"
# exit 137 and death by KILL give wait the same number; only jobs tells them apart, and only before wait has returned. Once
# the plugin's shell has left its pipe to main, the words of jobs wait in there without another process.
# shellcheck disable=SC2317 # the trap calls it
if exec 6<>"/proc/self/fd/${RUNE[0]}"; then
  save_jobs() { jobs -l >&6; }
else
  exec 6<&"${RUNE[0]}"
  save_jobs() { JOBS+=$(jobs -l); }
fi
eval "exec ${RUNE[0]}<&- ${RUNE[1]}>&-"
find_environment
[ -n "$RUN_ID" ] || { parse_rest && await_run; }
# What the plugin sends to its parent. Only now, since an ignored signal stays ignored in a child; and ignored, not handled,
# since bash may sleep through the end of a child when a handler interrupts its wait.
trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 TSTP TTIN TTOU
make_feed
now
BEGUN=$NOW
coproc WATCH { watchdog; } 4>&-
WATCHDOG=$!
[ -n "${WATCH[1]-}" ] || not_started 'no process can be started'
mark
trap - EXIT
exec 8>&"${WATCH[1]}" 9<&"${WATCH[0]}" 0</dev/null 5<&- 7>&-
eval "exec ${WATCH[0]}<&- ${WATCH[1]}>&-"
unset LIBRARY REST SCRIPT FEED
# Without its watchdog the plugin has no limits: it ends.
trap 'save_jobs; kill -0 "$WATCHDOG" || { SAID="cut 0" && kill -KILL -- "-$PLUGIN"; }' CHLD

while :; do
  wait "$PLUGIN"
  STATUS=$?
  [ "$STATUS" -gt 128 ] || break
  if ! kill -0 "$PLUGIN"; then
    wait "$PLUGIN"
    STATUS=$?
    break
  fi
  # The plugin stopped itself, and stays so until its time is over.
  parse_rest
  nap 10
  take_jobs
done
trap - CHLD
set +m
printf 'over\n' >&8
while [ -z "$SAID" ] && read -r -t 0 -u 9 && IFS= read -r -u 9 SAID; do
  case $SAID in
    first\ *) FIRST=${SAID#* } SAID='' ;;
    forks\ *) FORKS=${SAID#* } SAID='' ;;
  esac
done
REASON=${SAID% *} STOPPED_AT=${SAID#* }

HOW="exit $STATUS"
if [ "$STATUS" -gt 128 ]; then
  parse_rest
  take_jobs
  case $JOBS in
    *" $PLUGIN Exit "*) ;;
    *)
      { kill -l $((STATUS - 128)) >&6 && IFS= read -r -u 6 HOW; } || HOW=$(kill -l $((STATUS - 128)))
      HOW="signal $HOW"
      ;;
  esac
fi

COUNT=0 CONFIRMED=yes
$LOOK
if [ -n "${LEFT[*]}$UNSURE" ]; then
  parse_rest
  now
  if [ -n "$REASON" ]; then
    # What left the group has had no TERM yet.
    SOON=$((NOW + 50)) DEADLINE=$((STOPPED_AT + GRACE))
    kill_left $((DEADLINE > SOON ? DEADLINE : SOON)) || CONFIRMED=no
  elif ! left_until $((NOW + 50)); then
    # Not just ending: left over.
    COUNT=${#LEFT[@]}
    if [ "$LEAVES" = yes ]; then CONFIRMED=no; else kill_left $((NOW + GRACE)) || CONFIRMED=no; fi
  fi
fi
remove_folder
frame "end $HOW $CONFIRMED $COUNT ${REASON:-none}" >&4
frame "end $HOW $CONFIRMED $COUNT ${REASON:-none}" >&3
kill -CONT "${AWAKE[@]}"
kill -KILL -- "-$WATCHDOG"
exit 0
: rest

# --- what the plugin requires ---

# Whether the version $1 is at least $2, number by number; a missing number counts as 0.
is_at_least() {
  local have=$1. want=$2. a b
  while [ -n "$want" ]; do
    a=${have%%.*} b=${want%%.*} have=${have#*.} want=${want#*.}
    case $a in '' | *[!0-9]*) a=0 ;; esac
    [ $((10#$a)) -eq $((10#$b)) ] || { [ $((10#$a)) -gt $((10#$b)) ] && return; return 1; }
  done
}

# Sets OS_ID, OS_LIKE and OS_VERSION. Of what is no such file nothing is waited for, and little is read.
read_os_release() {
  local file=/etc/os-release line value rest=200
  OS_ID='' OS_LIKE='' OS_VERSION=''
  [ -r "$file" ] || file=/usr/lib/os-release
  [ -f "$file" ] || return 0
  while [ $((rest -= 1)) -ge 0 ] && { IFS= read -r -n 1000 line || [ -n "$line" ]; }; do
    value=${line#*=} value=${value#[\"\']} value=${value%[\"\']}
    case $line in
      ID=*) OS_ID=$value ;;
      ID_LIKE=*) OS_LIKE=$value ;;
      VERSION_ID=*) OS_VERSION=$value ;;
    esac
  done <"$file"
}

is_os_met() {
  local wanted id least
  for wanted in $OS; do
    id=${wanted%%:*} least=${wanted#*:}
    if [ -z "$least" ]; then
      case " $OS_ID $OS_LIKE " in *" $id "*) return 0 ;; esac
    elif [ "$OS_ID" = "$id" ] && is_at_least "$OS_VERSION" "$least"; then
      return 0
    fi
  done
  return 1
}

# Ends with the frame unmet, a digit for each command: 1 if it is missing; no or yes for the operating system; and what it is.
check_requirements() {
  local command bits='' met=yes word words=''
  for command in $COMMANDS; do
    if type -P -- "$command" >/dev/null; then bits+=0; else bits+=1; fi
  done
  if [ -n "$OS" ]; then
    read_os_release
    is_os_met || met=no
  fi
  case $bits$met in *1* | *no) ;; *) return ;; esac
  for word in "${OS_ID-}" "${OS_VERSION-}"; do
    word=${word//[!A-Za-z0-9._-]/}
    words+=" ${word:0:16}"
    [ -n "$word" ] || words+=-
  done
  frame "unmet =$bits $met$words" >&3
  exit 97
}

# --- what is left, and its end ---

# Sets words to the environment of the process $1, where bash takes the byte 255 for an end.
read_environment() {
  local word
  while IFS= read -r -d '' word; do words+=$word$NL; done <"/proc/$1/environ"
}

# Waits so many hundredths of a second, or shorter if jobs says something. Without another process if it can: the plugin may
# have left none to start.
nap() {
  local line=''
  wait_for "$1"
  if IFS= read -r -t "$WAIT" -u 6 line || [ $? -le 128 ]; then heed "$line" || sleep "$WAIT"; fi
}

# Keeps how the plugin ended, if that is what jobs said; fails if it said nothing.
heed() {
  case $1 in
    *" $PLUGIN Exit "*) JOBS=$1 ;;
    '') return 1 ;;
  esac
}

# Takes what jobs said out of its pipe, which would fill up.
take_jobs() {
  local line
  while read -r -t 0 -u 6 && IFS= read -r -u 6 line; do heed "$line"; done
}

signal_left() {
  # All of it at once, so that nothing is forked meanwhile.
  if [ "$1" = KILL ] && [ "$LOOK" = look_in_scope ] && [ -w "$SCOPE/cgroup.kill" ]; then printf 1 >"$SCOPE/cgroup.kill"; fi
  kill "-$1" -- "-$PLUGIN"
  [ ${#LEFT[@]} -eq 0 ] || kill "-$1" "${LEFT[@]}"
}

# Looks until nothing is left, for sure, or NOW has reached the deadline. What was just forked shows whose it is in a moment.
left_until() {
  local deadline=$1 step=1
  while :; do
    $LOOK
    [ -n "${LEFT[*]}$UNSURE" ] || return 0
    now
    [ "$NOW" -lt "$deadline" ] || return 1
    nap "$step"
    [ "$step" -ge 10 ] || step=$((step * 2))
  done
}

# TERM, grace until the given deadline, KILL. Succeeds when nothing is left.
kill_left() {
  if [ ${#LEFT[@]} -eq 0 ]; then
    left_until $((NOW + 20))
    return
  fi
  signal_left TERM
  signal_left CONT
  left_until "$1" && return 0
  local rounds=0
  while [ "$rounds" -lt 20 ]; do
    rounds=$((rounds + 1))
    signal_left KILL
    now
    left_until $((NOW + 10)) && return 0
  done
  return 1
}

# --- a plugin in a directory ---

# Puts the plugin's helper files into FOLDER. One that begins with #! can be run.
# shellcheck disable=SC2034 # take reads bytes by its name
make_files() {
  local file path bytes content
  for file in $FILES; do
    bytes=${file%%:*} path=$FOLDER/${file#*:} content=''
    take bytes content || not_started 'the upload ended early'
    (umask 077 && mkdir -p "${path%/*}" && printf %s "$content" >"$path") || return 1
    [ "${content:0:2}" != '#!' ] || chmod 700 "$path" || return 1
  done
}

# Puts the plugin and its library into FOLDER and sets RUN to the words that run it: the interpreter that its first line
# names, since the folder may be on a file system that runs nothing.
make_folder() {
  local line interpreter rest
  FOLDER=$(umask 077 && mktemp -d "${TMPDIR:-/tmp}/rune.XXXXXXXXXX") || not_started 'no temporary directory can be made'
  if ! { (umask 077 && mkdir "$FOLDER/lib") && printf %s "$LIBRARY" >"$FOLDER/rune_bpcs.sh" &&
    printf %s "$LIBRARY" >"$FOLDER/lib/rune_bpcs.sh" && printf %s "$SCRIPT" >"$FOLDER/plugin" &&
    chmod 700 "$FOLDER/plugin" && make_files; }; then
    not_started 'the temporary directory cannot be written'
  fi
  interpreter=$BASH rest=''
  IFS= read -r line <"$FOLDER/plugin"
  if [ "${line:0:2}" = '#!' ]; then
    # As the kernel does it: the interpreter, and all the rest as one argument.
    line=${line:2} line=${line#"${line%%[![:blank:]]*}"}
    interpreter=${line%%[[:blank:]]*}
    rest=${line#"$interpreter"} rest=${rest#"${rest%%[![:blank:]]*}"} rest=${rest%"${rest##*[![:blank:]]}"}
  fi
  [ -x "$interpreter" ] || not_started "the plugin's interpreter $interpreter is missing or cannot be run"
  printf -v RUN '%q ' "$interpreter" ${rest:+"$rest"} "$FOLDER/plugin"
  RUN+=$ARGUMENTS
}

# --- the watchdog, when the plugin is over or must stop ---

# Waits so many hundredths of a second, or shorter if main says something; sets OVER or ORPHAN if it said so or is dead.
watchdog_nap() {
  local word
  wait_for "$1"
  if IFS= read -r -t "$WAIT" word; then OVER=yes; elif [ $? -le 128 ]; then ORPHAN=yes; fi
  kill -CONT "${AWAKE[@]}"
}

watchdog_stop_plugin() {
  local deadline
  kill -TERM -- "-$PLUGIN"
  kill -CONT -- "-$PLUGIN"
  deadline=$((NOW + GRACE))
  while [ -z "$OVER$ORPHAN" ]; do
    now
    [ "$NOW" -lt "$deadline" ] || break
    watchdog_nap $((deadline - NOW > 100 ? 100 : deadline - NOW))
  done
  [ -n "$OVER" ] || kill -KILL -- "-$PLUGIN"
  # Forked, because the channel may be stalled; killed with the watchdog's group. Not before, because a plugin that lives may
  # have left no process to start.
  if [ -z "$OVER$ORPHAN" ]; then frame "stopping $REASON" >&3 & fi
}

# The plugin is over, or killed. Main says so on a channel that may be stalled: while the lease lives it may take its time.
watchdog_guard() {
  local line status heard until=0
  now
  heard=$NOW
  while [ -z "$ORPHAN" ]; do
    if [ "$until" -eq 0 ]; then
      IFS= read -r -t 1 -u 5 line
      status=$?
      now
      if [ "$status" -eq 0 ]; then
        heard=$NOW
      elif [ "$status" -le 128 ] || [ "$NOW" -ge $((heard + LEASE)) ]; then
        until=$((NOW + GRACE + 300))
      fi
      watchdog_nap 1
    else
      watchdog_nap 100
      now
      if [ -z "$ORPHAN" ] && [ "$NOW" -ge "$until" ]; then
        kill -KILL $$
        ORPHAN=yes
      fi
    fi
  done
}
