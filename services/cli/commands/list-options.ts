import type { Command } from 'commander';

/** The options of the list command for the help of the command above it, which takes them too. */
export function listOptions(list: Command): string {
  const help = list.helpInformation();
  const [, options = ''] = help.split('\nOptions:\n');
  return `\nOptions of ${list.name()}, which also work without that word:\n${options}`;
}
