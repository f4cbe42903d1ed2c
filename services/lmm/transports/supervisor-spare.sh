# shellcheck shell=bash
# What follows supervisor.sh in a spare shell, which is made ready for a run before there is one, and is then a part of its rest: all that
# is the same for every run has been read and evaluated. The first body has an empty RUN_ID, DELIVERY=stream, SCOPE=no, BECOME=no, the
# shipped library, and besides
#   IDLE           for how long the run may be waited for, in hundredths of a second
# and a second counted body brings what the first one of another run has too: RUN_ID, LEAVES, HELPER_BYTES, SCRIPT_BYTES, FILES,
# INPUT_BYTES, ARGUMENTS, ENVIRONMENT, COMMANDS, OS, LIMIT, GRACE and LEASE. A spare shell serves one run.
# shellcheck disable=SC2034,SC2154,SC2317 # supervisor.sh has and reads what this sets and reads, and calls it

# Waits until there is a run, and begins it. The library has been read. Ends where the channel ends, or no run comes in time.
await_run() {
  local body
  wait_for "$IDLE"
  IFS= read -r -t "$WAIT" -N 14 body <&5 || exit 97
  case $body in RUNE1:[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) ;; *) exit 97 ;; esac
  IFS= read -r -N $((10#${body#*:})) body <&5 || exit 97
  eval "$body"
  # Where the plugin's shell is gone, nothing can run.
  trap '' PIPE
  printf '%s %s\n' "$HELPER_BYTES" "$SCRIPT_BYTES" >&7 || exit 97
  announce
}
