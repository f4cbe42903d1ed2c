import { Command, CommanderError } from 'commander';
import { EXIT_CODE } from '../shared/errors.js';
import { packageVersion } from '../shared/process/package-version.js';
import { type ActionsOptions, defineActions } from './commands/actions.js';
import { defineCompletion, type Shell } from './commands/completion.js';
import { defineDoctor, type DoctorOptions } from './commands/doctor.js';
import { defineExecutions, type ExecutionsOptions } from './commands/executions.js';
import { defineHelp } from './commands/help.js';
import { defineModules, type ModulesOptions } from './commands/modules.js';
import { defineNodes, type NodesOptions } from './commands/nodes.js';
import {
  definePlugin,
  type PluginLintOptions,
  type PluginNewOptions,
  type PluginRunOptions,
  type PluginTestOptions,
} from './commands/plugin.js';
import { defineRun, type RunOptions } from './commands/run.js';
import { defineUp, type UpOptions } from './commands/up.js';
import type { Io } from './io.js';
import { reportError } from './report-error.js';

/** What each command does, apart from how it is written. Every handler answers the exit code. */
export interface Handlers {
  run(options: RunOptions): Promise<number>;
  executions(options: ExecutionsOptions): Promise<number>;
  actions(options: ActionsOptions): Promise<number>;
  nodes(options: NodesOptions): Promise<number>;
  modules(options: ModulesOptions): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  up(options: UpOptions): Promise<number>;
  pluginNew(options: PluginNewOptions): Promise<number>;
  pluginLint(options: PluginLintOptions): Promise<number>;
  pluginTest(options: PluginTestOptions): Promise<number>;
  pluginRun(options: PluginRunOptions): Promise<number>;
  script(shell: Shell): Promise<number>;
  complete(words: readonly string[], program: Command): Promise<number>;
}

const EXAMPLES = `
Examples:
  rune up                                       # start the services on this machine
  rune run host-facts --node localhost          # run an action and show its result
  rune run host-facts --node localhost --plan   # what would run where; contacts no node
  rune executions                               # what ran, what runs
  rune actions                                  # what can be run
  rune doctor --node localhost                  # is everything there that a run needs?
  rune plugin new rotate-logs                   # write an action of your own

What the exit codes mean: rune help exit-codes`;

/** The command line's handlers; each loads what it needs when it is called, so that the rest starts fast. */
export function createHandlers(io: Io): Handlers {
  const deps = async () => ({ io, createClient: (await import('./client.js')).createClient });
  return {
    run: async (options) => (await import('./run/run-command.js')).runCommand(options, await deps()),
    executions: async (options) =>
      (await import('./executions/executions-command.js')).executionsCommand(options, await deps()),
    actions: async (options) =>
      (await import('./catalogue/actions-command.js')).actionsCommand(options, await deps()),
    async nodes(options) {
      if (options.kind === 'import')
        return (await import('./import/import-command.js')).importCommand(options, io);
      return options.kind === 'trust'
        ? (await import('./trust/trust-command.js')).trustCommand(options, await deps())
        : (await import('./catalogue/nodes-command.js')).nodesCommand(options, await deps());
    },
    modules: async (options) =>
      (await import('./modules/modules-command.js')).modulesCommand(options, await deps()),
    doctor: async (options) => (await import('./doctor/diagnose.js')).diagnose(options, await deps()),
    async up(options) {
      const { DEFAULT_ADDRESS } = await import('./config/resolve-connection.js');
      return (await import('./local-services/keep-up.js')).keepUp(options, io, DEFAULT_ADDRESS);
    },
    pluginNew: async (options) => (await import('./plugin/new-command.js')).newCommand(options, io),
    pluginLint: async (options) => (await import('./plugin/lint/lint-command.js')).lintCommand(options, io),
    pluginTest: async (options) =>
      (await import('./plugin/test/test-command.js')).testCommand(options, await deps()),
    pluginRun: async (options) => (await import('./plugin/run-once.js')).runOnce(options, await deps()),
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
  defineExecutions(program, start(handlers.executions));
  defineActions(program, start(handlers.actions));
  defineNodes(program, start(handlers.nodes));
  defineModules(program, start(handlers.modules));
  defineDoctor(program, start(handlers.doctor));
  defineUp(program, start(handlers.up));
  definePlugin(program, {
    create: start(handlers.pluginNew),
    lint: start(handlers.pluginLint),
    test: start(handlers.pluginTest),
    run: start(handlers.pluginRun),
  });
  defineCompletion(program, {
    script: start(handlers.script),
    complete: start((words: readonly string[]) => handlers.complete(words, program)),
  });
  defineHelp(program, async (text) => {
    await io.stdout.write(text);
    done(EXIT_CODE.SUCCEEDED);
  });
  pointToHelp(program, 'rune');
  return program;
}

/** Every wrong command line is followed by where its own command is explained. */
function pointToHelp(command: Command, name: string): void {
  command.showHelpAfterError(`See: ${name} --help`);
  for (const inner of command.commands) pointToHelp(inner, `${name} ${inner.name()}`);
}

/** The full name of the command that the words begin with, such as "rune nodes show". */
function commandName(program: Command, words: readonly string[]): string {
  let [command, name] = [program, program.name()];
  for (const word of words) {
    const next = command.commands.find((inner) => inner.name() === word);
    if (next === undefined) break;
    [command, name] = [next, `${name} ${word}`];
  }
  return name;
}

/** Runs one command line, given without the names of node and of the script; answers the exit code and never throws. */
export async function runCli(
  argv: readonly string[],
  io: Io,
  handlers = createHandlers(io),
): Promise<number> {
  let code: number = EXIT_CODE.SUCCEEDED;
  const program = createProgram(io, handlers, (answer) => {
    code = answer;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    // Commander has explained what is wrong; --help and --version end this way too, with exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODE.SUCCEEDED : EXIT_CODE.USAGE;
    return reportError(io, error, 'pretty', `See: ${commandName(program, argv)} --help`);
  }
}
