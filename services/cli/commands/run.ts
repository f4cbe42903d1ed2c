import { type Command, Option } from 'commander';
import { RuneError } from '../../shared/errors.js';
import { parseDuration } from '../config/parse-duration.js';
import type { ParamAssignment } from '../params/parse-assignment.js';
import { collectAssignment, collectLabel, collectNames, parseCount, parseShare } from './parse-flags.js';
import { addResumeOption } from './resume-option.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** What `rune run` was asked to do. */
export interface RunOptions {
  readonly service: ServiceOptions;
  readonly action: string;
  readonly nodes: readonly string[];
  readonly groups: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly exclude: readonly string[];
  readonly allowEmpty: boolean;
  readonly params: readonly ParamAssignment[];
  readonly paramsFile?: string;
  /** Run and watch, only submit, or only ask what would run. */
  readonly mode: 'run' | 'detach' | 'plan';
  readonly dryRun: boolean;
  readonly acknowledgeRisk: boolean;
  readonly transport?: string;
  readonly timeoutMs?: number;
  readonly reason?: string;
  readonly maxParallel?: number;
  /** A count, or a percentage that ends in %. */
  readonly batchSize?: string;
  readonly maxFailures?: string;
  readonly canary: boolean;
  /** What a run does whose node another mutating run has; absent for the service's default, to wait. */
  readonly onLocked?: 'queue' | 'refuse';
  readonly queueTimeoutMs?: number;
  readonly retries?: number;
  readonly atLeastOnce: boolean;
  readonly retryDelayMs?: number;
  /** Absent for one of our own. */
  readonly requestId?: string;
  /** How long a service that was lost is waited for; absent for the usual time. */
  readonly resumeForMs?: number;
  readonly cancelOnDisconnect: boolean;
  readonly saveDirectory?: string;
  /** Start LOM and LMM for this one command; with these bundles and inventories. */
  readonly standalone?: LocalServicesOptions;
}

/** Where services that are started here find their plugins and nodes; absent for the package's own. */
export interface LocalServicesOptions {
  readonly plugins: readonly string[];
  readonly inventories: readonly string[];
  /** Configuration file of the mediator; absent for the keys and known hosts of the person. */
  readonly lmmConfig?: string;
}

/** The flags of an execution as commander hands them over. */
export interface ParsedExecution extends ParsedServiceOptions {
  node?: string[];
  group?: string[];
  select?: Record<string, string>;
  exclude?: string[];
  allowEmpty?: true;
  param?: ParamAssignment[];
  paramsFile?: string;
  plan?: true;
  dryRun?: true;
  yes?: true;
  transport?: string;
  useSsm?: true;
  timeout?: number;
  reason?: string;
  maxParallel?: number;
  batch?: string;
  maxFailures?: string;
  canary?: true;
  onLocked?: 'queue' | 'refuse';
  queueTimeout?: number;
  retries?: number;
  atLeastOnce?: true;
  retryDelay?: number;
  cancelOnDisconnect?: true;
  save?: string;
}

interface Parsed extends ParsedExecution {
  detach?: true;
  requestId?: string;
  resumeFor?: number;
  standalone?: true;
  plugins?: string[];
  inventory?: string[];
  lmmConfig?: string;
}

const EXAMPLES = `
Examples:
  rune run host-facts --node localhost
  rune run noop --node localhost --param message=hello --reason "INC-4711"
  rune run host-facts --select role=web --exclude web03 --plan     # what would run where; contacts no node
  rune run host-facts --node localhost -o json | jq '.runs[].result.output'
  rune run host-facts --node localhost --standalone                # without services that run already
  id=$(rune run host-facts --group web --detach)                   # do not wait; rune executions watch $id

Ctrl-C cancels the execution and waits until each node has confirmed the kill; a second one leaves at once,
with exit code 3, because the action may still be running. A service that is lost meanwhile is waited for.
What the exit code means: rune help exit-codes`;

/** The flags of an execution as RunOptions, apart from what runs. Throws COMMAND_INVALID if no node is named. */
export function executionOptions(parsed: ParsedExecution): Omit<RunOptions, 'action' | 'standalone'> {
  const { node = [], group = [], select = {}, exclude = [] } = parsed;
  const transport = parsed.useSsm === true ? 'ssm' : parsed.transport;
  const { paramsFile, timeout, reason, maxParallel, batch, maxFailures, save } = parsed;
  const { onLocked, queueTimeout, retries, retryDelay } = parsed;
  if (node.length + group.length + Object.keys(select).length === 0) {
    throw new RuneError('COMMAND_INVALID', 'Name the nodes: --node, --group or --select.');
  }
  return {
    service: serviceOptions(parsed),
    nodes: node,
    groups: group,
    labels: select,
    exclude,
    allowEmpty: parsed.allowEmpty === true,
    params: parsed.param ?? [],
    mode: parsed.plan === true ? 'plan' : 'run',
    dryRun: parsed.dryRun === true,
    acknowledgeRisk: parsed.yes === true,
    canary: parsed.canary === true,
    cancelOnDisconnect: parsed.cancelOnDisconnect === true,
    ...(paramsFile === undefined ? {} : { paramsFile }),
    ...(transport === undefined ? {} : { transport }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(reason === undefined ? {} : { reason }),
    ...(maxParallel === undefined ? {} : { maxParallel }),
    ...(batch === undefined ? {} : { batchSize: batch }),
    ...(maxFailures === undefined ? {} : { maxFailures }),
    ...(onLocked === undefined ? {} : { onLocked }),
    ...(queueTimeout === undefined ? {} : { queueTimeoutMs: queueTimeout }),
    ...(retries === undefined ? {} : { retries }),
    atLeastOnce: parsed.atLeastOnce === true,
    ...(retryDelay === undefined ? {} : { retryDelayMs: retryDelay }),
    ...(save === undefined ? {} : { saveDirectory: save }),
  };
}

function toOptions(action: string, parsed: Parsed): RunOptions {
  const { plugins = [], inventory: inventories = [], lmmConfig, requestId, resumeFor } = parsed;
  const options = {
    ...executionOptions(parsed),
    ...(parsed.detach === undefined ? {} : { mode: 'detach' as const }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(resumeFor === undefined ? {} : { resumeForMs: resumeFor }),
  };
  if (parsed.standalone !== undefined) {
    const standalone = { plugins, inventories, ...(lmmConfig === undefined ? {} : { lmmConfig }) };
    return { ...options, action, standalone };
  }
  if (plugins.length + inventories.length === 0 && lmmConfig === undefined) return { ...options, action };
  throw new RuneError(
    'COMMAND_INVALID',
    '--plugins, --inventory and --lmm-config belong to --standalone; a running service has its own.',
  );
}

/** Other tools take nodes as arguments. */
function refuseMore(words: readonly string[]): void {
  if (words.length === 0) return;
  throw new RuneError(
    'COMMAND_INVALID',
    `too many arguments: ${words.join(' ')}; did you mean --node ${words.join(',')}?`,
  );
}

/** Adds the flags of ParsedExecution that say what runs where and how. */
export function addExecutionOptions(command: Command): Command {
  return command
    .optionsGroup('Nodes:')
    .option('-n, --node <name>', 'a node; repeat it or join names by commas', collectNames('--node'))
    .option('-g, --group <name>', 'all nodes of a group', collectNames('--group'))
    .option('-l, --select <key=value>', 'all nodes with this label; several must all match', collectLabel)
    .option('--exclude <name>', 'leave out a node or a group', collectNames('--exclude'))
    .option('--allow-empty', 'no matching node is a success')
    .optionsGroup('Action:')
    .option(
      '-p, --param <key=value>',
      'a parameter; key=@file and key=@- read the value from a file or stdin, key:=JSON takes JSON',
      collectAssignment,
    )
    .option(
      '--params-file <file>',
      'parameters as a JSON (or .yaml) object, - for stdin; --param goes over them',
    )
    .option('--reason <text>', 'why; kept in the record and given to the plugin')
    .option(
      '--timeout <duration>',
      "how long each run may take, such as 30s (default: the action's own)",
      (text) => parseDuration(text, '--timeout'),
    )
    .option('-y, --yes', 'run an action that can destroy data without asking')
    .optionsGroup('How:')
    .addOption(new Option('--plan', 'show what would run where; contacts no node').conflicts('save'))
    .option('--dry-run', 'let the plugin say what it would do, changing nothing')
    .option('--transport <name>', 'ssh, openssh, ssm or local, where the nodes list it')
    .addOption(new Option('--use-ssm', 'the same as --transport ssm').conflicts('transport'))
    .option('--max-parallel <n>', 'runs at the same time', parseCount('--max-parallel'))
    .option('--batch <n>', 'nodes at a time, as a count or a share such as 25%', parseShare('--batch'))
    .option(
      '--max-failures <n>',
      'failures, as a count or a share of the nodes, after which the rest is skipped',
      parseShare('--max-failures'),
    )
    .option('--canary', 'one node first, the rest if it succeeds')
    .addOption(
      new Option(
        '--on-locked <what>',
        'where another run is changing a node, or too many of the action run: wait, or refuse',
      ).choices(['queue', 'refuse']),
    )
    .option('--queue-timeout <duration>', "how long to wait for that (default: the service's own)", (text) =>
      parseDuration(text, '--queue-timeout'),
    )
    .option(
      '--retries <n>',
      'further attempts where nothing can have started, such as on a node that is not reached',
      parseCount('--retries'),
    )
    .option(
      '--at-least-once',
      'try again what was lost or cut off too, up to --retries (default: 3): idempotent actions only',
    )
    .option(
      '--retry-delay <duration>',
      "pause before the first of them, then twice as long each time (default: the service's own)",
      (text) => parseDuration(text, '--retry-delay'),
    )
    .option('--cancel-on-disconnect', 'losing the connection to the service cancels the execution')
    .option('--save <directory>', 'write result, log, outcome and files of each node below it');
}

/** Adds `rune run` to the program. */
export function defineRun(program: Command, start: (options: RunOptions) => Promise<void>): void {
  const command = program
    .command('run')
    .description('run an action on nodes and show what happens')
    .argument('<action>', 'name or name@version')
    .allowExcessArguments();
  addResumeOption(
    addExecutionOptions(command)
      .addOption(
        new Option('--detach', 'do not wait: print the id of the execution, which goes on').conflicts([
          'plan',
          'save',
          'standalone',
          'cancelOnDisconnect',
        ]),
      )
      .addOption(
        new Option(
          '--request-id <id>',
          'makes repeating the command harmless: the same id gives the same execution',
        ).conflicts('plan'),
      ),
  )
    .optionsGroup('Service:')
    .addOption(
      new Option('--standalone', 'start LOM and LMM for this one command').conflicts(['server', 'context']),
    )
    .option('--plugins <directory>', 'with --standalone: plugin bundles to load', collectNames('--plugins'))
    .option('--inventory <file>', 'with --standalone: inventory to load', collectNames('--inventory'))
    .option(
      '--lmm-config <file>',
      'with --standalone: configuration of the mediator (default: your own SSH keys)',
    );
  addServiceOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((action: string, parsed: Parsed, { args }: Command) => {
      refuseMore(args.slice(1));
      return start(toOptions(action, parsed));
    });
}
