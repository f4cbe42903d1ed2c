import { type Command, Option } from 'commander';
import { collectNames } from './parse-flags.js';
import {
  addExecutionOptions,
  executionOptions,
  type LocalServicesOptions,
  type ParsedExecution,
  type RunOptions,
} from './run.js';
import { addAnswerOptions } from './service-options.js';
import { OUTPUT_FORMATS, type OutputFormat } from '../output-format.js';
import { LANGUAGES, type Language, RISKS, type RiskName } from '../plugin/template-choices.js';

/** What `rune plugin new` was asked to make. */
export interface PluginNewOptions {
  readonly name: string;
  readonly language: Language;
  readonly risk: RiskName;
  /** The bundle's directory. */
  readonly directory: string;
}

/** What `rune plugin lint` was asked to look at. */
export interface PluginLintOptions {
  /** Of an action or of a bundle. */
  readonly directory: string;
  /** Warnings count as errors do. */
  readonly strict: boolean;
  readonly output: OutputFormat;
}

/** What `rune plugin test` was asked to run. */
export interface PluginTestOptions {
  /** Of an action or of a bundle. */
  readonly directory: string;
  /** Names of the only cases to run; empty for all. */
  readonly cases: readonly string[];
  /** Run examples as they are although the action changes this machine. */
  readonly allowChanges: boolean;
  readonly output: OutputFormat;
}

/** What `rune plugin run` was asked to do. */
export interface PluginRunOptions {
  /** Of one action. */
  readonly directory: string;
  readonly execution: Omit<RunOptions, 'action' | 'standalone'>;
  readonly services: Omit<LocalServicesOptions, 'plugins'>;
}

/** What each command below `rune plugin` does. */
export interface PluginCommands {
  create(options: PluginNewOptions): Promise<void>;
  lint(options: PluginLintOptions): Promise<void>;
  test(options: PluginTestOptions): Promise<void>;
  run(options: PluginRunOptions): Promise<void>;
}

const NEW_EXAMPLES = `
Examples:
  rune plugin new rotate-logs --risk low
  rune plugin new count-users --language python --directory ./plugins

Nothing that exists is overwritten; bundle.yaml gets the name of the action, or is made.`;

function defineNew(plugin: Command, start: PluginCommands['create']): void {
  plugin
    .command('new')
    .description('make an action that works: manifest, script, tests and a page')
    .argument('<name>', 'name of the action, such as rotate-logs')
    .addOption(
      new Option('--language <language>', 'language of the script').choices(LANGUAGES).default('bash'),
    )
    .addOption(
      new Option('--risk <risk>', 'what the action may do to a node').choices(RISKS).default('read_only'),
    )
    .option('--directory <directory>', 'directory of the bundle', '.')
    .addHelpText('after', NEW_EXAMPLES)
    .action((name: string, parsed: Omit<PluginNewOptions, 'name'>) => start({ name, ...parsed }));
}

const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how results are written').choices(OUTPUT_FORMATS).default('pretty');

const LINT_EXAMPLES = `
Examples:
  rune plugin lint rotate-logs
  rune plugin lint ./plugins --strict -o json

It ends with 1 if there is an error; warnings count only with --strict. Nothing is run.`;

function defineLint(plugin: Command, start: PluginCommands['lint']): void {
  plugin
    .command('lint')
    .description('find faults without running anything')
    .argument('<directory>', 'directory of an action or of a bundle')
    .option('--strict', 'end with 1 for warnings too')
    .addOption(outputOption())
    .addHelpText('after', LINT_EXAMPLES)
    .action((directory: string, { strict, output }: { strict?: true; output: OutputFormat }) =>
      start({ directory, strict: strict === true, output }),
    );
}

const TEST_EXAMPLES = `
Examples:
  rune plugin test rotate-logs
  rune plugin test rotate-logs --case 'keeps what is new'
  rune plugin test ./plugins -o json

It runs the manifest's examples and the cases of tests.yaml on this machine, by services of its own and the way every node is
reached. Examples of an action that changes nodes are run dry, unless --allow-changes or tests.yaml says otherwise.`;

function defineTest(plugin: Command, start: PluginCommands['test']): void {
  plugin
    .command('test')
    .description('run examples and cases on this machine and check what comes of them')
    .argument('<directory>', 'directory of an action or of a bundle')
    .option('--case <name>', 'run only this case; repeat it for more', collect)
    .option('--allow-changes', 'run examples as they are, also those that change this machine')
    .addOption(outputOption())
    .addHelpText('after', TEST_EXAMPLES)
    .action((directory: string, parsed: { case?: string[]; allowChanges?: true; output: OutputFormat }) =>
      start({
        directory,
        cases: parsed.case ?? [],
        allowChanges: parsed.allowChanges === true,
        output: parsed.output,
      }),
    );
}

interface ParsedRun extends ParsedExecution {
  inventory?: string[];
  lmmConfig?: string;
}

const RUN_EXAMPLES = `
Examples:
  rune plugin run rotate-logs --param days=7 --dry-run
  rune plugin run rotate-logs --inventory inventory.yaml --node web01

Without --inventory it runs on this machine. The mediator of this one command logs in with your own SSH keys and agent and trusts
your known_hosts; --lmm-config replaces both.`;

function runOptions(directory: string, parsed: ParsedRun): PluginRunOptions {
  const { inventory: inventories = [], lmmConfig, node = [], group = [], select = {} } = parsed;
  const isHere = inventories.length + node.length + group.length + Object.keys(select).length === 0;
  return {
    directory,
    execution: executionOptions(isHere ? { ...parsed, node: ['localhost'] } : parsed),
    services: { inventories, ...(lmmConfig === undefined ? {} : { lmmConfig }) },
  };
}

function defineRunOnce(plugin: Command, start: PluginCommands['run']): void {
  const command = plugin
    .command('run')
    .description('run an action on nodes once, without registering it')
    .argument('<directory>', 'directory of the action');
  addAnswerOptions(
    addExecutionOptions(command)
      .optionsGroup('Service:')
      .option('--inventory <file>', 'inventory to load (default: this machine)', collectNames('--inventory'))
      .option('--lmm-config <file>', 'configuration of the mediator (default: your own SSH keys)'),
  )
    .addHelpText('after', RUN_EXAMPLES)
    .action((directory: string, parsed: ParsedRun) => start(runOptions(directory, parsed)));
}

const collect = (text: string, before: readonly string[] = []): string[] => [...before, text];

/** Adds `rune plugin` to the program. */
export function definePlugin(program: Command, start: PluginCommands): void {
  const plugin = program
    .command('plugin')
    .description('write plugins: make, check and try them')
    .helpCommand(false);
  defineNew(plugin, start.create);
  defineLint(plugin, start.lint);
  defineTest(plugin, start.test);
  defineRunOnce(plugin, start.run);
}
