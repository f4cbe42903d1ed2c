# shellcheck shell=bash
# shellcheck disable=SC2034 # those who come after it read what it sets
# How an action calls programs that might not return, and takes what they print apart.

# Bytes are characters here, every tool speaks English, and dates in UTC can be read without another program.
export LC_ALL=C TZ=UTC

output_chars_max=1048576
line_chars_max=500
output='' status=0

# call SECONDS COMMAND…: sets output to what the command printed and status to its exit status, 124 when it did not end in
# time. What runs as root by sudo cannot be killed from here: reading its output is bounded too, and then it is left alone.
call() {
  local seconds=$1 ended=0 reading pid
  shift
  # Bash forgets the descriptors of a coprocess that has ended, so this one begins only when they are copied.
  coproc program {
    read -r _
    exec timeout -k 1 "$seconds" "$@" </dev/null 2>&1
  }
  # shellcheck disable=SC2154
  pid=$program_PID
  exec {reading}<&"${program[0]}"
  printf '\n' >&"${program[1]}"
  output='' status=0
  IFS= read -r -d '' -n "$output_chars_max" -t $((seconds + 3)) -u "$reading" output || ended=$?
  exec {reading}<&-
  if ((ended != 1)); then kill "$pid" 2>/dev/null || :; fi
  if ((ended > 128)); then
    status=124
    return
  fi
  wait "$pid" || status=$?
  if ((status == 137)); then status=124; fi
}

# first_line TEXT: into the variable line.
first_line() {
  line=${1%%$'\n'*}
  line=${line:0:line_chars_max}
}
