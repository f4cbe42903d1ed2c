import { type Command, Option } from 'commander';
import { RuneError } from '../../shared/errors.js';
import { parseTime, type TimePoint } from '../config/parse-time.js';
import type { ParamAssignment } from '../params/parse-assignment.js';
import { addList } from './add-list.js';
import { listOptions } from './list-options.js';
import { collectAssignment, collectNames, parseCount } from './parse-flags.js';
import { addResumeOption } from './resume-option.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** States of an execution, as flags and tables write them: the names of the wire in small letters. */
export const EXECUTION_STATES = [
  'pending_approval',
  'queued',
  'running',
  'cancelling',
  'succeeded',
  'partial',
  'failed',
  'timed_out',
  'cancelled',
  'rejected',
  'expired',
] as const;

/** One of EXECUTION_STATES. */
export type ExecutionStateWord = (typeof EXECUTION_STATES)[number];

/** What `rune executions` was asked for. What is undefined does not narrow a list. */
export type ExecutionsOptions =
  | {
      readonly kind: 'list';
      readonly service: ServiceOptions;
      readonly action: string | undefined;
      readonly node: string | undefined;
      readonly states: readonly ExecutionStateWord[];
      readonly by: string | undefined;
      readonly since: TimePoint | undefined;
      readonly until: TimePoint | undefined;
      readonly correlationId: string | undefined;
      readonly limit: number;
    }
  | {
      readonly kind: 'show';
      readonly service: ServiceOptions;
      readonly id: string;
      readonly outcomes: boolean;
    }
  | {
      readonly kind: 'watch';
      readonly service: ServiceOptions;
      readonly id: string;
      readonly fromSeq: number;
      /** Empty for all. */
      readonly nodes: readonly string[];
      readonly log: boolean;
      readonly resumeForMs: number | undefined;
    }
  | {
      readonly kind: 'cancel';
      readonly service: ServiceOptions;
      /** Which ones, or all that have not ended, of one action or of every action. */
      readonly what: { readonly ids: readonly string[] } | { readonly action: string | undefined };
      readonly reason: string | undefined;
      /** Do not ask. */
      readonly yes: boolean;
    }
  | {
      readonly kind: 'rerun';
      readonly service: ServiceOptions;
      readonly id: string;
      readonly onlyFailed: boolean;
      /** Secrets, which are not recorded. */
      readonly params: readonly ParamAssignment[];
      readonly reason: string | undefined;
      readonly acknowledgeRisk: boolean;
      readonly detach: boolean;
      /** Undefined for one of our own. */
      readonly requestId: string | undefined;
      readonly resumeForMs: number | undefined;
    };

type Start = (options: ExecutionsOptions) => Promise<void>;

const LIMIT = 100;

const EXAMPLES = `
Examples:
  rune executions                                              # the newest 100
  rune executions list --state failed,partial --since 2h --node web01
  rune executions watch 01a20364-053f-757a-87e0-51a725f6b057
  rune executions rerun 01a20364-053f-757a-87e0-51a725f6b057 --failed
  rune executions cancel --all                                 # for the bad day: asks first`;

function collectStates(
  text: string,
  before: readonly ExecutionStateWord[] | undefined,
): readonly ExecutionStateWord[] {
  const words = collectNames('--state')(text).map((word) => {
    const state = EXECUTION_STATES.find((known) => known === word.toLowerCase().replaceAll('-', '_'));
    if (state !== undefined) return state;
    throw new RuneError(
      'COMMAND_INVALID',
      `--state ${word}: there is no such state; known: ${EXECUTION_STATES.join(', ')}.`,
    );
  });
  return [...(before ?? []), ...words];
}

interface ParsedList extends ParsedServiceOptions {
  action?: string;
  node?: string;
  state?: ExecutionStateWord[];
  by?: string;
  since?: TimePoint;
  until?: TimePoint;
  correlationId?: string;
  limit: number;
}

function defineList(executions: Command, start: Start): Command {
  const list = addList(executions)
    .description('the newest executions, or those that the flags choose')
    .option('-a, --action <name>', 'of this action')
    .option('-n, --node <name>', 'with a run on this node')
    .addOption(
      new Option('-s, --state <state>', 'in this state; repeat it or join states by commas')
        .choices(EXECUTION_STATES)
        .argParser(collectStates),
    )
    .option('--by <who>', 'asked for by this caller, as the service names it')
    .option('--since <time>', 'accepted since then: 30m, 2h or 7d ago, or a time', parseTime('--since'))
    .option('--until <time>', 'accepted before then', parseTime('--until'))
    .option('--correlation-id <id>', 'with this correlation id')
    .option('--limit <n>', 'at most so many', parseCount('--limit'), LIMIT);
  return addServiceOptions(list)
    .addHelpText('after', '\nExample:\n  rune executions list --state running,cancelling --action noop')
    .action((parsed: ParsedList) =>
      start({
        kind: 'list',
        service: serviceOptions(parsed),
        action: parsed.action,
        node: parsed.node,
        states: parsed.state ?? [],
        by: parsed.by,
        since: parsed.since,
        until: parsed.until,
        correlationId: parsed.correlationId,
        limit: parsed.limit,
      }),
    );
}

function defineShow(executions: Command, start: Start): void {
  addServiceOptions(
    executions
      .command('show')
      .description('one execution: who asked for what and why, and what each run came to')
      .argument('<id>')
      .option('--outcomes', 'also what each run answered, or why it failed'),
  )
    .addHelpText(
      'after',
      '\nExample:\n  rune executions show 01a20364-053f-757a-87e0-51a725f6b057 --outcomes',
    )
    .action((id: string, parsed: ParsedServiceOptions & { outcomes?: true }) =>
      start({ kind: 'show', service: serviceOptions(parsed), id, outcomes: parsed.outcomes === true }),
    );
}

interface ParsedWatch extends ParsedServiceOptions {
  fromSeq?: number;
  node?: string[];
  log: boolean;
  resumeFor?: number;
}

const WATCH_EXAMPLES = `
Examples:
  rune executions watch 01a20364-053f-757a-87e0-51a725f6b057
  rune executions watch 01a20364-053f-757a-87e0-51a725f6b057 --node web01,web02 --no-log

It shows what rune run would have shown, from the start, and ends with the same exit code. Ctrl-C stops watching; the execution
goes on.`;

function defineWatch(executions: Command, start: Start): void {
  const command = executions
    .command('watch')
    .description('show what happens in an execution, or happened, until its end')
    .argument('<id>')
    .option('--from-seq <n>', 'begin with the event of this number', parseCount('--from-seq'))
    .option('-n, --node <name>', 'only this node; repeat it or join names by commas', collectNames('--node'))
    .option('--no-log', 'leave out log lines and progress');
  addServiceOptions(addResumeOption(command))
    .addHelpText('after', WATCH_EXAMPLES)
    .action((id: string, parsed: ParsedWatch) =>
      start({
        kind: 'watch',
        service: serviceOptions(parsed),
        id,
        fromSeq: parsed.fromSeq ?? 1,
        nodes: parsed.node ?? [],
        log: parsed.log,
        resumeForMs: parsed.resumeFor,
      }),
    );
}

interface ParsedCancel extends ParsedServiceOptions {
  all?: true;
  action?: string;
  reason?: string;
  yes?: true;
}

const CANCEL_EXAMPLES = `
Examples:
  rune executions cancel 01a20364-053f-757a-87e0-51a725f6b057 --reason "wrong nodes"
  rune executions cancel --all                        # shows what has not ended, and asks
  rune executions cancel --all --action restart-docker --yes

It ends as soon as the service has taken note; rune executions watch shows the confirmed end of each run.`;

function whatToCancel(ids: readonly string[], parsed: ParsedCancel) {
  if (parsed.all === true && ids.length > 0) {
    throw new RuneError('COMMAND_INVALID', 'Name executions or give --all, not both.');
  }
  if (parsed.all === true) return { action: parsed.action };
  if (parsed.action !== undefined) throw new RuneError('COMMAND_INVALID', '--action belongs to --all.');
  if (ids.length === 0) throw new RuneError('COMMAND_INVALID', 'Name the executions, or give --all.');
  return { ids: [...new Set(ids)] };
}

function defineCancel(executions: Command, start: Start): void {
  const command = executions
    .command('cancel')
    .description('ask executions to stop')
    .argument('[ids...]')
    .option('--all', 'every execution that has not ended')
    .option('-a, --action <name>', 'with --all: only those of this action')
    .option('--reason <text>', 'why; kept in the record')
    .option('-y, --yes', 'with --all: do not ask');
  addServiceOptions(command)
    .addHelpText('after', CANCEL_EXAMPLES)
    .action((ids: string[], parsed: ParsedCancel) =>
      start({
        kind: 'cancel',
        service: serviceOptions(parsed),
        what: whatToCancel(ids, parsed),
        reason: parsed.reason,
        yes: parsed.yes === true,
      }),
    );
}

interface ParsedRerun extends ParsedServiceOptions {
  failed?: true;
  param?: ParamAssignment[];
  reason?: string;
  yes?: true;
  detach?: true;
  requestId?: string;
  resumeFor?: number;
}

const RERUN_EXAMPLES = `
Examples:
  rune executions rerun 01a20364-053f-757a-87e0-51a725f6b057 --failed
  rune executions rerun 01a20364-053f-757a-87e0-51a725f6b057 --reason "INC-4711" --detach
  rune executions rerun 01a20364-053f-757a-87e0-51a725f6b057 --param password=@-

It runs the same version of the action with the same parameters. Secrets are not recorded: give them again. Ctrl-C cancels, as in rune run.`;

function defineRerun(executions: Command, start: Start): void {
  const command = executions
    .command('rerun')
    .description('run an execution again that has ended, and show what happens')
    .argument('<id>')
    .option('--failed', 'only on nodes where it did not succeed')
    .option(
      '-p, --param <key=value>',
      'a secret of the first execution, which is not recorded; key=@file and key=@- read it from a file or stdin',
      collectAssignment,
    )
    .option('--reason <text>', 'why (default: the reason of the first)')
    .option('-y, --yes', 'run an action that can destroy data without asking')
    .option('--detach', 'do not wait: print the id of the new execution, which goes on')
    .option(
      '--request-id <id>',
      'makes repeating the command harmless: the same id gives the same execution',
    );
  addServiceOptions(addResumeOption(command))
    .addHelpText('after', RERUN_EXAMPLES)
    .action((id: string, parsed: ParsedRerun) =>
      start({
        kind: 'rerun',
        service: serviceOptions(parsed),
        id,
        onlyFailed: parsed.failed === true,
        params: parsed.param ?? [],
        reason: parsed.reason,
        acknowledgeRisk: parsed.yes === true,
        detach: parsed.detach === true,
        requestId: parsed.requestId,
        resumeForMs: parsed.resumeFor,
      }),
    );
}

/** Adds `rune executions` to the program. */
export function defineExecutions(program: Command, start: Start): void {
  const executions = program
    .command('executions')
    .description('what ran, what runs: list, show, watch, cancel, run again')
    .addHelpText('after', () => listOptions(list) + EXAMPLES);
  const list = defineList(executions, start);
  defineShow(executions, start);
  defineWatch(executions, start);
  defineCancel(executions, start);
  defineRerun(executions, start);
}
