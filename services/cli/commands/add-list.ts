import type { Command } from 'commander';

/** Adds the command `list` of a catalogue, which may be left out: a word that is no command of it ends up there. */
export function addList(catalogue: Command): Command {
  return catalogue
    .command('list', { isDefault: true })
    .allowExcessArguments()
    .hook('preAction', (list) => {
      const [word] = list.args;
      if (word === undefined) return;
      list.error(
        `error: '${catalogue.name()}' has no command '${word}', and '${list.name()}' takes no such word`,
      );
    });
}
