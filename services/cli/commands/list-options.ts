import type { Command } from 'commander';

/** The command of a catalogue that may be left out. */
export const LIST = 'list';

/** The options of the list command for the help of the command above it, which takes them too. */
export function listOptions(list: Command): string {
  const help = list.helpInformation();
  const [, options = ''] = help.split('\nOptions:\n');
  return `\nOptions of ${LIST}, which also work without that word:\n${options}`;
}
