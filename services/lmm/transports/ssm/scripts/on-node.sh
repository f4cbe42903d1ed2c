# shellcheck shell=bash
# What a command of Systems Manager does on the node around one run: it stands in for the mediator, which has no channel to the
# node. docs/ssm.md describes what it says. Comment lines and indentation are taken out before it is sent, and what is left may
# hold no single quote: it is one word of the script that the agent runs, and $0 is the path of that script.
#
# stdin: the line RUN_ID NONCE TOKEN OUT_ROOM ERR_ROOM WHOLE HOLES ROOM; the line with the remote command in base64; then the upload, compressed
# and in base64.
#
# Two halves. This one stays in the process group that the agent kills, and holds the pipe that is the lease. The guard has a
# group of its own: it lives until the supervisor has ended the plugin, keeps what both print, and reports it.
# shellcheck disable=SC2154,SC2153 # the pipes of the coprocess

exec 3>&1 4>&2 2>/dev/null
IFS=" " read -r RUN_ID NONCE TOKEN OUT_ROOM ERR_ROOM WHOLE HOLES ROOM
IFS= read -r COMMAND
COMMAND=$(printf %s "$COMMAND" | base64 -d)
HERE=$0.rune
# Of each output about so much is kept from its start on, and some blocks of its end.
KEPT=$((WHOLE > 4194304 ? WHOLE : 4194304)) BLOCK=65536
# Enough of a result that is too long to tell what it was.
EVIDENCE=4400
printf -v MARK "\036%s" "$NONCE"
[ -n "${HOME-}" ] || HOME=~
export HOME USER="${USER-$(id -un)}"
export LOGNAME="${LOGNAME-$USER}"

say() { printf "RUNE-SSM %s %s\n" "$RUN_ID" "$*" >&3; }

for tool in base64 cat dd grep gzip head mkdir mv rm sha256sum tail wc; do
  type -P "$tool" >/dev/null || { say unable "$tool" && exit 0; }
done

# The agent starts a script again that a reboot cut off.
if ! (umask 077 && mkdir -- "$HERE"); then
  if [ -f "$HERE/report" ]; then
    cat "$HERE/report" >&3
    cat "$HERE/log" >&4
  elif [ -d "$HERE" ]; then
    say again
  else
    say unable folder
  fi
  exit 0
fi

# Keeps the start of stdin in the file $1, the end of what is beyond in $1.last and $1.new, and its bytes in $1.more.
collect() {
  local before=-1 size=0 more=0
  # Unlike head, dd writes at once what it has read.
  while [ "$before" -lt "$size" ] && [ "$size" -lt "$KEPT" ]; do
    before=$size
    dd bs="$BLOCK" count=16 >>"$1"
    size=$(wc -c <"$1")
  done
  while [ "$before" -lt "$size" ]; do
    dd bs="$BLOCK" count=16 >"$1.new"
    [ -s "$1.new" ] || break
    more=$((more + $(wc -c <"$1.new")))
    cat "$1.new" >>"$1.last"
    : >"$1.new"
    echo "$more" >"$1.more"
    if [ "$(wc -c <"$1.last")" -gt $((BLOCK * 4)) ]; then
      tail -c $((BLOCK * 2)) "$1.last" >"$1.tmp"
      mv -f "$1.tmp" "$1.last"
    fi
  done
  : >"$1.over"
}

tail_of() { cat "$1" "$1.last" "$1.new" | tail -c "$2"; }

is_collected() { [ -f "$1.over" ] || tail_of "$1" 200000 | grep -aqF "$MARK end "; }

# Sets TOTAL to the bytes of the output $1.
count() {
  local more=0 rest=0
  [ ! -f "$1.more" ] || read -r more <"$1.more"
  [ ! -f "$1.new" ] || rest=$(wc -c <"$1.new")
  TOTAL=$(($(wc -c <"$1") + more + rest))
}

# Writes $1.part to $1.text, compressed if that makes it shorter. Sets KIND, LENGTH and PART, the bytes before.
encode() {
  KIND=plain PART=$(wc -c <"$1.part")
  base64 -w 0 <"$1.part" >"$1.text"
  LENGTH=$(wc -c <"$1.text")
  gzip -c <"$1.part" | base64 -w 0 >"$1.short"
  if [ -s "$1.short" ] && [ "$(wc -c <"$1.short")" -lt "$LENGTH" ]; then
    mv -f "$1.short" "$1.text"
    KIND=gzip LENGTH=$(wc -c <"$1.text")
  fi
}

# Encodes the output $1 into $2 characters: all of it, or what fits of its start or its end, as $3 says. Then DIGEST is of what
# $1.whole has, which nobody but a bucket takes as it is.
fit() {
  local bytes
  DIGEST=-
  count "$1"
  if [ ! -f "$1.more" ]; then
    cat "$1" "$1.new" >"$1.part"
    encode "$1"
    [ "$LENGTH" -gt "$2" ] || return 0
    if [ "$TOTAL" -le "$WHOLE" ]; then
      DIGEST=$(sha256sum <"$1.part") DIGEST=${DIGEST%% *}
      { printf "RUNE-SSM %s whole %s\n" "$RUN_ID" "$KIND" && cat "$1.text" && echo; } >"$1.whole"
    fi
  fi
  for bytes in $(($2 * 6)) $(($2 * 3)) $(($2 * 3 / 4 - 3)); do
    if [ "$3" = end ]; then
      tail_of "$1" "$bytes" >"$1.part"
    else
      head -c $((bytes < EVIDENCE ? bytes : EVIDENCE)) "$1" >"$1.part"
    fi
    encode "$1"
    [ "$LENGTH" -gt "$2" ] || return 0
  done
}

guard() {
  local status end out rounds=0
  cd "$HERE" || return
  # Nobody else may hold the outputs of the script: the agent waits for all who do.
  exec 7> >(collect out 3>&- 4>&-) 8> >(collect err 3>&- 4>&-)
  (
    exec 1>&7 2>&8 3>&- 4>&- 7>&- 8>&-
    cd "$HOME" || cd /
    # A session of its own: of another one that is shared, the supervisor could not tell whose a process is.
    ! type -P setsid >/dev/null || exec setsid "$BASH" --noprofile --norc -p -c "$COMMAND"
    eval "$COMMAND"
  ) <&0 &
  exec 0</dev/null 7>&- 8>&-
  wait $!
  status=$?
  # What the supervisor has printed is on its way to the files; a process that was left may hold the pipes open for ever.
  until is_collected out && is_collected err; do
    [ "$((rounds += 1))" -lt 250 ] || { status=999 && break; }
    sleep 0.02
  done
  end=$(tail_of out 200000 | grep -aoE "$MARK end (exit|signal) [A-Za-z0-9]+ (yes|no) [0-9]+ [a-z]+" | tail -n 1)
  fit out "$OUT_ROOM" start
  out="$TOTAL $PART $KIND $LENGTH $DIGEST"
  fit err "$ERR_ROOM" end
  { printf "RUNE-SSM %s log\n" "$RUN_ID" && cat err.text && echo && cat err.whole; } >log
  {
    printf "RUNE-SSM %s report %s %s %s %s\n" "$RUN_ID" "$status" "$out" "$TOTAL $PART $KIND $LENGTH $DIGEST" "$NONCE $TOKEN ${end#"$MARK "}"
    cat out.text && echo && cat out.whole
  } >report.new
  mv -f report.new report
  cat report >&3
  cat log >&4
  rm -f out out.* err err.*
  kill -KILL -- "-$BASHPID"
}

# Prints the value of a name in Parameter Store as JSON.
look_up() {
  local region=${AWS_SSM_REGION_NAME-}
  AWS_PAGER="" timeout -k 1 20 aws ssm get-parameter --name "$1" --with-decryption \
    --query Parameter.Value --output json ${region:+--region "$region"} </dev/null 2>"$HERE/aws"
}

# Takes the bytes of $1 from ROOM.
fill() {
  local LC_ALL=C
  ROOM=$((ROOM - ${#1}))
  [ "$ROOM" -ge 0 ] && return
  echo "its value is too long" >"$HERE/aws"
  return 1
}

# Looks up what fills the holes of the upload. Says which one failed, and how.
look_up_all() {
  local hole=0 skip name value
  while [ "$hole" -lt "$HOLES" ] && read -r skip name; do
    if ! value=$(look_up "$name") || [[ $value != \"*\" ]] || ! fill "$value"; then
      say unable parameter "$hole" "$(tail -c 400 "$HERE/aws" | base64 -w 0)"
      return 1
    fi
    SKIP[hole]=$skip VALUE[hole]=$value
    hole=$((hole + 1))
  done
}

# Passes the upload on, with the holes filled.
weave() {
  local hole
  for hole in "${!VALUE[@]}"; do
    head -c "${SKIP[hole]}"
    printf %s "${VALUE[hole]}"
  done
  cat
  printf "%*s" "$ROOM" ""
}

SKIP=() VALUE=()
if [ "$HOLES" -gt 0 ]; then
  # Whoever asks for the report, or starts this script again, while this goes on: nothing has begun.
  printf "RUNE-SSM %s unable stopped\n" "$RUN_ID" >"$HERE/report"
  : >"$HERE/log"
  look_up_all || { rm -rf -- "$HERE" && exit 0; }
  rm -f -- "$HERE/report" "$HERE/log" "$HERE/aws"
fi

set -m
coproc GUARD { guard; }
set +m
exec 5>&"${GUARD[1]}"
eval "exec ${GUARD[0]}<&- ${GUARD[1]}>&-"
{
  base64 -d | gzip -dc | weave
  echo go
} >&5
exec 0</dev/null
wait
exit 0
