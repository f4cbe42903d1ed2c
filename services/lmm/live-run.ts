import { createEventQueue } from '../shared/event-queue.js';
import { weighEvent } from '../shared/event-weight.js';
import { RuneError } from '../shared/errors.js';
import type { ErrorFacts, ValidationError } from '../shared/gen/rune/v1/eps.js';
import type { MediateResponse } from '../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { RunState, StopReason, type Outcome } from '../shared/gen/rune/v1/run.js';
import { createByteCollector } from './byte-collector.js';
import { createLogBatcher, type LogLimits } from './log-batcher.js';
import { createLogDecoder } from './log-decoder.js';
import { endedOutcome, notStartedOutcome, type RunRecord } from './outcome.js';
import type { PluginProtocol } from './plugin-protocols/plugin-protocol.js';
import type { NodeCommand, NodeEnding, RunSink, Transport } from './transports/transport.js';

const STDERR_TAIL_BYTES_MAX = 2048;

/** Settings of every run on this mediator. */
export interface LiveRunSettings extends Omit<LogLimits, 'logBytesMax'> {
  /** Events kept for a reader that is behind; beyond this the node is held back. */
  readonly bufferBytesMax: number;
  /** A longer line comes in parts. */
  readonly lineBytesMax: number;
}

/** What a run is, once everything about it has been checked. */
export interface LiveRunSpec {
  readonly command: NodeCommand;
  readonly transport: Transport;
  readonly header: RcsHeader;
  readonly facts: Partial<ErrorFacts>;
  readonly dryRun: boolean;
  readonly protocol: PluginProtocol;
  readonly outputBytesMax: number;
  readonly logBytesMax: number;
  readonly orphanAfterMs: number;
  readonly checkOutput: (output: unknown) => ValidationError[];
}

/** One event of a run, numbered without gaps from 1. */
export interface RunEvent {
  readonly eventNo: number;
  readonly at: Date;
  readonly event: NonNullable<MediateResponse['event']>;
}

/** A run that this process owns from its start to its outcome, whoever is watching. */
export interface LiveRun {
  readonly runId: string;
  /** Asks the run to stop, and why in words. The first reason counts; asking again is harmless. */
  stop(reason: StopReason, words?: string): void;
  /** The run's events, for one reader. When the reader leaves, the run goes on for orphanAfterMs. */
  events(signal: AbortSignal): AsyncGenerator<RunEvent, void, undefined>;
  /** Settles when the outcome is known; never rejects. */
  readonly finished: Promise<Outcome>;
}

type Event = RunEvent['event'];

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

/** Starts a run at once; it needs nobody to go on. */
export function startLiveRun(spec: LiveRunSpec, settings: LiveRunSettings): LiveRun {
  const { command } = spec;
  const stopper = new AbortController();
  const queue = createEventQueue<{ at: Date; event: Event }>(settings.bufferBytesMax, ({ event }) =>
    weighEvent(event),
  );
  // Settles when there is room again for what the plugin says; undefined while there is.
  let room: Promise<void> | undefined;
  const emit = (event: Event): void => {
    const waiting = queue.push({ at: new Date(), event });
    room = waiting;
    void waiting?.then(() => {
      if (room === waiting) room = undefined;
    });
  };

  const { stderrBytesMax } = spec.protocol;
  const stdout = createByteCollector(spec.outputBytesMax);
  const stderr = createByteCollector(stderrBytesMax);
  let startedAt: Date | undefined;
  let cancelReason = '';
  let overdue: NodeJS.Timeout | undefined;
  const tail = createTail(STDERR_TAIL_BYTES_MAX);
  const batcher = createLogBatcher({ ...settings, logBytesMax: spec.logBytesMax }, (batch) =>
    emit({ $case: 'log', value: batch }),
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
    logDroppedBytes: batcher.droppedBytes + queue.droppedBytes,
    checkOutput: spec.checkOutput,
  });

  const sink: RunSink = {
    started() {
      startedAt = new Date();
      // A reader that stalls must not keep the node from saying how it ended.
      overdue = setTimeout(() => queue.relax(), command.timeoutMs);
      emit({ $case: 'state', value: RunState.RUNNING });
    },
    stdout: (chunk) => stdout.add(chunk),
    stderr(chunk) {
      stderr.add(chunk);
      tail.add(chunk);
      decoder.write(chunk);
      return room;
    },
  };

  const perform = async (): Promise<Outcome> => {
    try {
      const ending = await spec.transport.run(command, sink, stopper.signal);
      decoder.end();
      batcher.flush();
      return endedOutcome(ending, record());
    } catch (thrown) {
      const reason = stopper.signal.aborted ? (stopper.signal.reason as StopReason) : undefined;
      if (startedAt === undefined) return notStartedOutcome(RuneError.from(thrown), reason, record());
      // A transport throws only before the plugin can have begun; if one did after, what became of it is unknown.
      return endedOutcome(faultyEnding(command, reason), record());
    }
  };

  emit({ $case: 'accepted', value: {} });
  let over = false;
  const finished = perform().then((outcome) => {
    over = true;
    clearTimeout(overdue);
    emit({ $case: 'outcome', value: outcome });
    queue.end();
    return outcome;
  });
  const stop = (reason: StopReason, words = ''): void => {
    queue.relax();
    if (stopper.signal.aborted) return;
    cancelReason = words;
    stopper.abort(reason);
  };

  return {
    runId: command.runId,
    stop,
    async *events(signal) {
      let eventNo = 0;
      let reportedBytes = 0;
      try {
        for await (const { at, event } of queue.read(signal)) {
          if (event.$case === 'log' && queue.droppedBytes > reportedBytes) {
            event.value.droppedBytes += queue.droppedBytes - reportedBytes;
            reportedBytes = queue.droppedBytes;
          }
          yield { eventNo: ++eventNo, at, event };
        }
      } finally {
        queue.abandon();
        if (!over) {
          const orphaned = setTimeout(() => stop(StopReason.ORPHANED), spec.orphanAfterMs);
          void finished.then(() => clearTimeout(orphaned));
        }
      }
    },
    finished,
  };
}
