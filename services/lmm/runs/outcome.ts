import { toDuration } from '../../shared/messages/duration.js';
import { toEps } from '../../shared/messages/eps.js';
import { cancelWords } from '../../shared/messages/cancel-words.js';
import { RuneError } from '../../shared/errors.js';
import type { ErrorFacts, ValidationError } from '../../shared/gen/rune/v1/eps.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { Outcome, RunState, StopReason, type Result } from '../../shared/gen/rune/v1/run.js';
import { violation, type PluginAnswer, type PluginProtocol } from '../plugin-protocols/plugin-protocol.js';
import type { NodeEnding, PluginEnd, RunPhases } from '../transports/transport.js';

/** Result.output is filled up to these bounds; beyond them output_json alone holds the result. */
const STRUCT_BYTES_MAX = 64 * 1024;
const STRUCT_DEPTH_MAX = 24;

/** What was seen of a run, besides how it ended. */
export interface RunRecord {
  readonly header: RcsHeader;
  readonly facts: Partial<ErrorFacts>;
  readonly dryRun: boolean;
  readonly protocol: PluginProtocol;
  readonly stdout: Buffer;
  /** As much of standard error as the protocol asks for. */
  readonly stderr: Buffer;
  readonly stderrTruncated: boolean;
  readonly stdoutTooLarge: boolean;
  readonly outputBytesMax: number;
  readonly stderrTail: string;
  readonly startedAt: Date | undefined;
  /** Why the run was asked to stop, in the words of who asked; empty if nobody said. */
  readonly cancelReason: string;
  readonly logDroppedBytes: number;
  /** False where the plugin goes on when its mediator is lost. */
  readonly stopsWithLink: false | undefined;
  /** Checks output_data against the action's output schema; empty if it fits. */
  readonly checkOutput: (output: unknown) => ValidationError[];
}

const depthWithin = (value: unknown, max: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (max > 0 && Object.values(value).every((item) => depthWithin(item, max - 1)));

function toResult(answer: PluginAnswer): Result | undefined {
  if (answer.output === undefined) return undefined;
  const outputJson = Buffer.from(answer.output.json);
  const fits = outputJson.length <= STRUCT_BYTES_MAX && depthWithin(answer.output.value, STRUCT_DEPTH_MAX);
  return {
    outputJson,
    output: fits ? answer.output.value : undefined,
    outputOmitted: !fits,
    dryRun: answer.dryRun,
    notKeptBytes: 0,
  };
}

/** What the plugin's answer means. A fault of ours on the way never changes what is known about how the plugin ended. */
function decode(
  record: RunRecord,
  end: PluginEnd,
  cut: { readonly fromBytes: number; readonly why: string | undefined } | undefined,
): PluginAnswer {
  try {
    if (cut !== undefined) {
      const why = cut.why === undefined ? '' : `; ${cut.why}`;
      const message = `The plugin printed ${cut.fromBytes} bytes, more than its transport can carry${why}.`;
      return violation('RESULT_TOO_LARGE', message, record.stdout);
    }
    return decodeAndCheck(record, end);
  } catch (thrown) {
    return { output: undefined, dryRun: false, error: RuneError.from(thrown) };
  }
}

function decodeAndCheck(record: RunRecord, end: PluginEnd): PluginAnswer {
  if (record.stdoutTooLarge) return tooLarge(record, 'The plugin printed more than');
  const answer = record.protocol.decode({ ...record, end, dryRunAsked: record.dryRun });
  // What a foreign program prints grows when it is written as JSON.
  if (Buffer.byteLength(answer.output?.json ?? '') > record.outputBytesMax) {
    return tooLarge(record, 'What the plugin printed is, as JSON, more than');
  }
  if (answer.error !== undefined || answer.output === undefined) return answer;
  const faults = record.checkOutput(answer.output.value);
  if (faults.length === 0) return answer;
  return {
    ...answer,
    error: new RuneError(
      'OUTPUT_SCHEMA_MISMATCH',
      'The result does not fit the output schema of the action.',
      {
        validationErrors: faults,
      },
    ),
  };
}

function tooLarge({ stdout, outputBytesMax }: RunRecord, what: string): PluginAnswer {
  const message = `${what} the ${outputBytesMax} bytes that a result may have.`;
  return violation('RESULT_TOO_LARGE', message, stdout);
}

const STOPPED: Readonly<
  Partial<Record<StopReason, { state: RunState; error: (record: RunRecord) => RuneError }>>
> = {
  [StopReason.TIMEOUT]: {
    state: RunState.TIMED_OUT,
    error: () => new RuneError('RUN_TIMED_OUT', 'The plugin ran longer than its timeout and was stopped.'),
  },
  [StopReason.CANCEL]: {
    state: RunState.CANCELLED,
    error: ({ cancelReason }) =>
      new RuneError('RUN_CANCELLED', `The run was cancelled${cancelWords(cancelReason)}.`),
  },
  [StopReason.ORPHANED]: {
    state: RunState.CANCELLED,
    error: () =>
      new RuneError('RUN_CANCELLED', 'The run was cancelled because nobody was attached to it any more.'),
  },
  [StopReason.SHUTDOWN]: {
    state: RunState.CANCELLED,
    error: () => new RuneError('RUN_CANCELLED', 'The run was cancelled because its mediator shut down.'),
  },
  [StopReason.CUT]: {
    state: RunState.FAILED,
    error: () => new RuneError('LINK_LOST', 'The node saw the link close and stopped the plugin.'),
  },
  [StopReason.LEASE]: {
    state: RunState.FAILED,
    error: () =>
      new RuneError(
        'LINK_LOST',
        'The node heard nothing from the mediator for too long and stopped the plugin.',
      ),
  },
};

function phasesOf(phases: RunPhases): NonNullable<Outcome['phases']> {
  return {
    connect: toDuration(phases.connectMs),
    start: toDuration(phases.startMs),
    run: toDuration(phases.runMs),
  };
}

function base(record: RunRecord): Outcome {
  const { startedAt, logDroppedBytes, stopsWithLink } = record;
  return Outcome.fromPartial({
    endedAt: new Date(),
    logDroppedBytes,
    stopsWithLink,
    ...(startedAt === undefined ? {} : { startedAt }),
  });
}

/** The outcome of a run whose plugin began, or may have. */
export function endedOutcome(ending: NodeEnding, record: RunRecord): Outcome {
  const describe = (error: RuneError, facts: Partial<ErrorFacts> = {}): NonNullable<Outcome['error']> =>
    toEps(error, {
      source: 'lmm',
      header: record.header,
      facts: { ...record.facts, stderrTail: record.stderrTail, ...facts },
    });
  const common = {
    ...base(record),
    phases: phasesOf(ending.phases),
    stopReason: ending.stopReason ?? StopReason.UNSPECIFIED,
  };

  if (ending.kind === 'lost') {
    const what = ending.started ? 'The plugin was running' : 'The plugin may have started';
    return {
      ...common,
      state: RunState.LOST,
      maySurvive: true,
      stoppedOnNodeBy: new Date(ending.stoppedOnNodeByMs),
      error: describe(
        new RuneError('OUTCOME_UNKNOWN', `${what} when the link to the node was lost: ${ending.reason}.`),
      ),
    };
  }

  const answer = decode(record, ending.end, ending.resultCut);
  const seen = 'signal' in ending.end ? { signal: ending.end.signal } : { exitCode: ending.end.exitCode };
  const known = {
    ...common,
    ...seen,
    cancelConfirmed: ending.stopReason !== undefined && ending.confirmed,
    maySurvive: ending.maySurvive,
    leftProcesses: ending.leftProcesses,
    result: toResult(answer),
  };
  const stopped = ending.stopReason === undefined ? undefined : STOPPED[ending.stopReason];
  if (stopped !== undefined)
    return { ...known, state: stopped.state, error: describe(stopped.error(record), seen) };
  if (answer.error !== undefined)
    return { ...known, state: RunState.FAILED, error: describe(answer.error, seen) };
  return { ...known, state: RunState.SUCCEEDED };
}

/** The outcome of a run that certainly never began: `error` says why, unless it was cancelled before. */
export function notStartedOutcome(
  error: RuneError,
  stopReason: StopReason | undefined,
  record: RunRecord,
): Outcome {
  const stopped = stopReason === undefined ? undefined : STOPPED[stopReason];
  return {
    ...base(record),
    state: stopped?.state ?? RunState.FAILED,
    stopReason: stopReason ?? StopReason.UNSPECIFIED,
    cancelConfirmed: stopped !== undefined,
    error: toEps(stopped?.error(record) ?? error, {
      source: 'lmm',
      header: record.header,
      facts: record.facts,
    }),
  };
}
