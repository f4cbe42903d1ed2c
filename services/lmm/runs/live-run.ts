import { RuneError } from '../../shared/errors.js';
import type { ErrorFacts, ValidationError } from '../../shared/gen/rune/v1/eps.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { RunState, type Outcome, type StopReason } from '../../shared/gen/rune/v1/run.js';
import { createByteCollector } from './byte-collector.js';
import type { EventLog } from './event-log.js';
import { createLogBatcher, type LogLimits } from './log-batcher.js';
import { createLogDecoder } from './log-decoder.js';
import { scrubOutcome } from './scrub-outcome.js';
import { createScrubber } from './scrubber.js';
import { endedOutcome, notStartedOutcome, type RunRecord } from './outcome.js';
import type { PluginProtocol } from '../plugin-protocols/plugin-protocol.js';
import type { NodeCommand, NodeEnding, RunSink, Transport } from '../transports/transport.js';

const STDERR_TAIL_BYTES_MAX = 2048;

/** Settings of every run on this mediator. */
export interface LiveRunSettings extends Omit<LogLimits, 'logBytesMax'> {
  /** A longer line comes in parts. */
  readonly lineBytesMax: number;
}

/** What a run is, once everything about it has been checked. */
export interface LiveRunSpec {
  readonly command: NodeCommand;
  readonly transport: Transport;
  /** When another process started the run, which this one goes on with; undefined for one that starts here. */
  readonly adoptedFrom: Date | undefined;
  readonly header: RcsHeader;
  readonly facts: Partial<ErrorFacts>;
  /** Texts that nobody may find in what the plugin prints. */
  readonly secrets: readonly string[];
  readonly dryRun: boolean;
  readonly protocol: PluginProtocol;
  readonly outputBytesMax: number;
  readonly logBytesMax: number;
  readonly checkOutput: (output: unknown) => ValidationError[];
}

/** A run that this process owns from its start to its outcome, whoever is watching. */
export interface LiveRun {
  /** Asks the run to stop, and why in words. The first reason counts; asking again is harmless. */
  stop(reason: StopReason, words?: string): void;
  /** The node said that the plugin's process had begun. */
  readonly started: boolean;
  /** Settles when the outcome is known; never rejects. */
  readonly finished: Promise<Outcome>;
}

/** Keeps the last bytes of a stream. */
function createTail(bytesMax: number): { add(chunk: Buffer): void; text(): string } {
  let tail = Buffer.alloc(0);
  return {
    add(chunk) {
      tail =
        chunk.length >= bytesMax
          ? Buffer.from(chunk.subarray(chunk.length - bytesMax))
          : Buffer.concat([tail.subarray(Math.max(0, tail.length + chunk.length - bytesMax)), chunk]);
    },
    text: () => tail.toString(),
  };
}

/** What is known when the mediator itself failed while the plugin ran. */
function faultyEnding(command: NodeCommand, stopReason: StopReason | undefined): NodeEnding {
  return {
    kind: 'lost',
    reason: 'the mediator met an unexpected fault',
    started: true,
    stopReason,
    stoppedOnNodeByMs: Date.now() + command.timeoutMs + command.killGraceMs,
    phases: { connectMs: 0, startMs: 0, runMs: 0 },
  };
}

/** Starts a run at once and writes its events into the log; it needs nobody to go on. */
export function startLiveRun(spec: LiveRunSpec, settings: LiveRunSettings, log: EventLog): LiveRun {
  const { command } = spec;
  const stopper = new AbortController();
  // Settles when there is room again for what the plugin says; undefined while there is.
  let room: Promise<void> | undefined;
  const emit = (...event: Parameters<EventLog['push']>): void => {
    const waiting = log.push(...event);
    room = waiting;
    void waiting?.then(() => {
      if (room === waiting) room = undefined;
    });
  };

  const scrubber = createScrubber(spec.secrets);
  const { stderrBytesMax } = spec.protocol;
  const stdout = createByteCollector(spec.outputBytesMax);
  const stderr = createByteCollector(stderrBytesMax);
  let startedAt: Date | undefined;
  let cancelReason = '';
  let overdue: NodeJS.Timeout | undefined;
  const tail = createTail(STDERR_TAIL_BYTES_MAX);
  const batcher = createLogBatcher({ ...settings, logBytesMax: spec.logBytesMax }, (batch, bytes) =>
    emit({ $case: 'log', value: batch }, bytes),
  );
  const decoder = createLogDecoder(
    {
      line: batcher.add,
      progress: (progress) => {
        batcher.flush();
        emit({ $case: 'progress', value: progress });
      },
    },
    settings.lineBytesMax,
  );

  const cleanStderr = scrubber.stream();
  const takeStderr = (chunk: Buffer): void => {
    stderr.add(chunk);
    tail.add(chunk);
    decoder.write(chunk);
  };

  const record = (): RunRecord => ({
    header: spec.header,
    facts: spec.facts,
    dryRun: spec.dryRun,
    protocol: spec.protocol,
    stdout: stdout.bytes,
    stderr: stderr.bytes,
    stderrTruncated: stderr.totalBytes > stderrBytesMax,
    stdoutTooLarge: stdout.totalBytes > spec.outputBytesMax,
    outputBytesMax: spec.outputBytesMax,
    stderrTail: tail.text(),
    startedAt,
    cancelReason,
    logDroppedBytes: batcher.droppedBytes,
    stopsWithLink: spec.transport.stopsWithLink,
    checkOutput: spec.checkOutput,
  });

  const sink: RunSink = {
    started() {
      startedAt = new Date();
      // A reader that stalls must not keep the node from saying how it ended.
      overdue = setTimeout(log.relax, command.timeoutMs);
      emit({ $case: 'state', value: RunState.RUNNING });
    },
    stdout: (chunk) => stdout.add(chunk),
    stderr(chunk) {
      takeStderr(cleanStderr.write(chunk));
      return room;
    },
    stderrDropped: batcher.drop,
    waiting(message) {
      emit({ $case: 'progress', value: { percent: 0, message, logStreaming: false } });
    },
  };

  const carryOut = (): Promise<NodeEnding> => {
    const { transport, adoptedFrom } = spec;
    if (adoptedFrom === undefined) return transport.run(command, sink, stopper.signal);
    if (transport.adopt !== undefined) return transport.adopt(command, sink, stopper.signal, adoptedFrom);
    throw new Error(`The transport ${transport.name} adopts no runs.`);
  };

  const perform = async (): Promise<Outcome> => {
    try {
      const ending = await carryOut().finally(() => {
        takeStderr(cleanStderr.end());
        decoder.end();
        batcher.flush();
      });
      return endedOutcome(ending, record());
    } catch (thrown) {
      const reason = stopper.signal.aborted ? (stopper.signal.reason as StopReason) : undefined;
      if (startedAt === undefined) return notStartedOutcome(RuneError.from(thrown), reason, record());
      // A transport throws only before the plugin can have begun; if one did after, what became of it is unknown.
      return endedOutcome(faultyEnding(command, reason), record());
    }
  };

  emit({ $case: 'accepted', value: {} });
  const finished = perform().then((seen) => {
    clearTimeout(overdue);
    const outcome = spec.secrets.length === 0 ? seen : scrubOutcome(seen, stdout.bytes, scrubber);
    log.end(outcome);
    return outcome;
  });

  return {
    stop(reason, words = '') {
      log.relax();
      if (stopper.signal.aborted) return;
      cancelReason = words;
      stopper.abort(reason);
    },
    get started() {
      return startedAt !== undefined;
    },
    finished,
  };
}
