import { Argument, type Command } from 'commander';

/** Shells that completion is written for. */
export const SHELLS = ['bash', 'zsh'] as const;

/** One of SHELLS. */
export type Shell = (typeof SHELLS)[number];

const EXAMPLES = `
Examples:
  source <(rune completion bash)                                   # in ~/.bashrc
  rune completion zsh > "\${fpath[1]}/_rune"                         # once, then start a new shell`;

/** Name of the hidden command that the completion scripts ask for candidates. */
export const COMPLETE_COMMAND = '__complete';

/** Adds `rune completion` to the program, and the hidden command behind it. */
export function defineCompletion(
  program: Command,
  start: { script(shell: Shell): Promise<void>; complete(words: readonly string[]): Promise<void> },
): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', EXAMPLES)
    .action((shell: Shell) => start.script(shell));
  program
    .command(COMPLETE_COMMAND, { hidden: true })
    .argument('[words...]')
    .helpOption(false)
    .action((words: string[]) => start.complete(words));
}
