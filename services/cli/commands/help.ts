import type { Command } from 'commander';
import { RuneError } from '../../shared/errors.js';

/** The page of a command given by its words, or of a topic. Throws COMMAND_INVALID if there is none. */
async function page(program: Command, words: readonly string[]): Promise<string> {
  if (words.length === 1 && words[0] === 'exit-codes') {
    const { exitCodesHelp } = await import('./exit-codes.js');
    return exitCodesHelp();
  }
  let command = program;
  for (const word of words) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) {
      throw new RuneError(
        'COMMAND_INVALID',
        `help ${words.join(' ')}: there is no such command or topic. See: rune help`,
      );
    }
    command = next;
  }
  return command.helpInformation();
}

/** Adds `rune help [command…]` and `rune help exit-codes` to the program. */
export function defineHelp(program: Command, print: (text: string) => Promise<void>): void {
  program
    .helpCommand(false)
    .command('help')
    .description('explain a command, or a topic: exit-codes')
    .argument('[words...]', 'command or topic')
    .action(async (words: string[]) => print(await page(program, words)));
}
