import { Command, CommanderError } from 'commander';
import { EXIT_CODE } from '../shared/errors.js';
import { packageVersion } from '../shared/package-version.js';
import { type ActionsOptions, defineActions } from './commands/actions.js';
import { defineCompletion, type Shell } from './commands/completion.js';
import { defineDoctor, type DoctorOptions } from './commands/doctor.js';
import { defineHelp } from './commands/help.js';
import { defineNodes, type NodesOptions } from './commands/nodes.js';
import { defineRun, type RunOptions } from './commands/run.js';
import { defineUp, type UpOptions } from './commands/up.js';
import type { Io } from './io.js';
import { reportError } from './report-error.js';

/** What each command does, apart from how it is written. Every handler answers the exit code. */
export interface Handlers {
  run(options: RunOptions): Promise<number>;
  actions(options: ActionsOptions): Promise<number>;
  nodes(options: NodesOptions): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  up(options: UpOptions): Promise<number>;
  script(shell: Shell): Promise<number>;
  complete(words: readonly string[], program: Command): Promise<number>;
}

const EXAMPLES = `
Examples:
  rune up                                     start the services on this machine
  rune run host-facts --node web01            run an action and show its result
  rune run restart-docker --group web --plan  what would run where; contacts no node
  rune actions                                what can be run
  rune doctor --node web01                    is everything there that a run needs?

What the exit codes mean: rune help exit-codes`;

/** The command line's handlers; each loads what it needs when it is called, so that the rest starts fast. */
export function createHandlers(io: Io): Handlers {
  const deps = async () => ({ io, createClient: (await import('./client.js')).createClient });
  return {
    run: async (options) => (await import('./run/run-command.js')).runCommand(options, await deps()),
    actions: async (options) =>
      (await import('./catalogue/actions-command.js')).actionsCommand(options, await deps()),
    nodes: async (options) =>
      (await import('./catalogue/nodes-command.js')).nodesCommand(options, await deps()),
    doctor: async (options) => (await import('./doctor/diagnose.js')).diagnose(options, await deps()),
    async up(options) {
      const { DEFAULT_ADDRESS } = await import('./config/resolve-connection.js');
      return (await import('./local-services/keep-up.js')).keepUp(options, io, DEFAULT_ADDRESS);
    },
    async script(shell) {
      const { completionScript } = await import('./completion/script.js');
      await io.stdout.write(completionScript(shell));
      return EXIT_CODE.SUCCEEDED;
    },
    complete: async (words, program) =>
      (await import('./completion/complete-command.js')).completeCommand(program, words, await deps()),
  };
}

/** The program: every command with its flags and help. `done` gets the exit code of the handler that ran. */
export function createProgram(io: Io, handlers: Handlers, done: (code: number) => void): Command {
  const program = new Command('rune')
    .description('Runs a named, reviewed action on one node or ten thousand and shows what each answered.')
    .version(`rune ${packageVersion()}`, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'explain a command')
    .showHelpAfterError('See --help of the command.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'rune: ')),
      getOutHelpWidth: () => io.stdout.size().columns,
      getErrHelpWidth: () => io.stderr.size().columns,
    })
    .addHelpText('after', EXAMPLES);
  const start =
    <T>(handler: (options: T) => Promise<number>) =>
    async (options: T) =>
      done(await handler(options));

  defineRun(program, start(handlers.run));
  defineActions(program, start(handlers.actions));
  defineNodes(program, start(handlers.nodes));
  defineDoctor(program, start(handlers.doctor));
  defineUp(program, start(handlers.up));
  defineCompletion(program, {
    script: start(handlers.script),
    complete: start((words: readonly string[]) => handlers.complete(words, program)),
  });
  defineHelp(program, async (text) => {
    await io.stdout.write(text);
    done(EXIT_CODE.SUCCEEDED);
  });
  return program;
}

/** Runs one command line, given without the names of node and of the script; answers the exit code and never throws. */
export async function runCli(
  argv: readonly string[],
  io: Io,
  handlers = createHandlers(io),
): Promise<number> {
  let code: number = EXIT_CODE.SUCCEEDED;
  try {
    const program = createProgram(io, handlers, (answer) => {
      code = answer;
    });
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has explained what is wrong; --help and --version end this way too, with exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODE.SUCCEEDED : EXIT_CODE.USAGE;
    return reportError(io, error, 'pretty');
  }
}
