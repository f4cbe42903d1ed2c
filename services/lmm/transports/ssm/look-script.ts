const POLLS_PER_SECOND = 5;

/**
 * A script that waits on the node for the report of a run whose command the agent has killed, and prints it. It finds the script of
 * that command by its own path: the agent's folders are named for commands.
 */
export function lookScript(commandId: string, waitMs: number): string {
  const polls = Math.ceil((waitMs / 1000) * POLLS_PER_SECOND);
  return [
    '#!/bin/sh',
    '[ -n "$SSM_COMMAND_ID" ] || exit 0',
    `f="\${0%%"$SSM_COMMAND_ID"*}${commandId}\${0#*"$SSM_COMMAND_ID"}.rune" n=0`,
    `while [ -d "$f" ] && [ ! -f "$f/report" ] && [ "$n" -lt ${polls} ]; do sleep ${1 / POLLS_PER_SECOND}; n=$((n + 1)); done`,
    '[ ! -f "$f/report" ] || { cat "$f/report"; cat "$f/log" >&2; }',
    'exit 0',
  ].join('\n');
}
