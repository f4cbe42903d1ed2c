# shellcheck shell=bash
# Waits on the node for the report of a run whose command the agent has killed, and prints it. It finds the script of that command by
# its own path, $0: the agent's folders are named for commands. Comment lines and indentation are taken out before it is sent, and
# what is left may hold no single quote.
#
# stdin: the line COMMAND_ID POLLS; it polls five times a second.

IFS=" " read -r COMMAND POLLS
[ -n "${SSM_COMMAND_ID-}" ] || exit 0
HERE=${0%%"$SSM_COMMAND_ID"*}$COMMAND${0#*"$SSM_COMMAND_ID"}.rune
while [ -d "$HERE" ] && [ ! -f "$HERE/report" ] && [ "$POLLS" -gt 0 ]; do
  sleep 0.2
  POLLS=$((POLLS - 1))
done
[ ! -f "$HERE/report" ] || { cat "$HERE/report" && cat "$HERE/log" >&2; }
exit 0
