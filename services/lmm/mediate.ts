import { durationText } from '../shared/messages/duration.js';
import { RuneError } from '../shared/errors.js';
import type { Duration } from '../shared/gen/google/protobuf/duration.js';
import type {
  AckRunRequest,
  CancelRunRequest,
  MediateAttach,
  MediatedRun,
  MediateStart,
  NodeTarget,
} from '../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { StopReason, type NodeProbe, type Outcome } from '../shared/gen/rune/v1/run.js';
import type { Logger } from '../shared/logging/logger.js';
import { SILENT_METER } from '../shared/metrics/metric.js';
import type { SchemaCompiler } from '../shared/schema/schema.js';
import type { BlobCache } from './blob-cache.js';
import type { LmmMeter } from './metrics.js';
import { within } from './request/bounds.js';
import type { RunEvent } from './runs/kept-events.js';
import { createKeptRuns, type KeptCounts, type KeptRunsSettings } from './runs/kept-runs.js';
import { logOutcome } from './runs/log-outcome.js';
import { measureOutcome } from './runs/measure-outcome.js';
import { startLiveRun, type LiveRunSettings } from './runs/live-run.js';
import { msOf, readStart, type RunBounds } from './request/read-start.js';
import { readTarget } from './request/read-target.js';
import type { Transport } from './transports/transport.js';

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Runs that one request may acknowledge. */
const ACKNOWLEDGED_MAX = 1000;

/** What a mediator allows. */
export interface MediatorSettings extends LiveRunSettings, RunBounds, KeptRunsSettings {
  readonly runsMax: number;
}

/** What a mediator works with. */
export interface MediatorDeps {
  /** Names this process among all that were ever started. */
  readonly instanceId: string;
  readonly transports: ReadonlyMap<string, Transport>;
  readonly blobs: BlobCache;
  readonly schemas: SchemaCompiler;
  readonly settings: MediatorSettings;
  readonly logger: Logger;
  /** Default: nobody counts. */
  readonly meter?: LmmMeter;
}

/** A run as its caller sees it. */
export interface MediatedEvents {
  readonly runId: string;
  /** Its events from the one that was asked for on. Ends with READER_REPLACED when somebody else reads them. */
  events(signal: AbortSignal): AsyncGenerator<RunEvent, void, undefined>;
}

/** A run that was started. */
export interface StartedRun extends MediatedEvents {
  /** Settles when the outcome is known; never rejects. */
  readonly finished: Promise<Outcome>;
}

/** What a mediator counts from its start on. */
export interface MediatorCounts {
  readonly started: number;
  readonly refused: number;
  readonly lastActivity: Date | undefined;
}

/** Starts, finds and ends the runs of this process. Whatever names another process throws WRONG_INSTANCE. */
export interface Mediator {
  readonly instanceId: string;
  /** Checks everything, then starts. Throws a RuneError when it refuses: then nothing has reached the node. */
  start(start: MediateStart, header: RcsHeader): StartedRun;
  /** Goes on with a run of another process, which is lost, and starts nothing. Refuses as `start` does. */
  adopt(start: MediateStart, header: RcsHeader): StartedRun;
  /** Shows a run again. Throws STALE_OWNER, RUN_NOT_FOUND, RUN_RECORD_GONE or FIELD_OUT_OF_RANGE. */
  attach(attach: MediateAttach): MediatedEvents;
  /** Asks a run to stop; its outcome tells the reason. Throws RUN_NOT_FOUND or STALE_OWNER. */
  cancel(request: Omit<CancelRunRequest, 'header'>): void;
  /** Forgets runs whose outcome is recorded elsewhere. */
  acknowledge(request: Omit<AckRunRequest, 'header'>): void;
  /** Every run that goes on or waits to be acknowledged, by run id. */
  list(): MediatedRun[];
  probe(target: NodeTarget, connectTimeout: Duration | undefined, signal: AbortSignal): Promise<NodeProbe>;
  /** Names of the transports that it offers. */
  readonly transports: readonly string[];
  readonly runsMax: number;
  /** Number of runs that have not ended. */
  readonly runCount: number;
  /** Runs that were started and, for want of room, refused so far; and when the last one was asked for. */
  readonly counts: MediatorCounts;
  /** What is kept of runs that go on or wait to be acknowledged. */
  kept(): KeptCounts;
  /**
   * Refuses new runs, gives those in flight `graceMs` to end, then stops them and waits until each has its outcome. What is left
   * of the grace is for owners that have not fetched theirs yet. A second call with a shorter grace shortens it.
   */
  drain(graceMs: number): Promise<void>;
}

/** Makes the mediator. */
export function createMediator(deps: MediatorDeps): Mediator {
  const { instanceId, transports, settings, logger, meter = SILENT_METER } = deps;
  const runs = createKeptRuns(settings, logger);
  let draining = false;
  const counts: { started: number; refused: number; lastActivity: Date | undefined } = {
    started: 0,
    refused: 0,
    lastActivity: undefined,
  };
  let endGrace = (): void => undefined;
  const graceOver = new Promise<void>((resolve) => (endGrace = resolve));

  const checkInstance = (asked: string): void => {
    if (asked === instanceId) return;
    throw new RuneError('WRONG_INSTANCE', `This mediator is the process ${instanceId}, not ${asked}.`);
  };
  const requireInstance = (field: string, asked: string): void => {
    if (asked !== '') return checkInstance(asked);
    const message = 'The request does not say which process it means.';
    throw new RuneError('FIELD_MISSING', message, { field, expectedFormat: 'as ListRuns tells it' });
  };
  const checkRunId = (field: string, runId: string): void => {
    if (RUN_ID.test(runId)) return;
    const facts = { field, expectedFormat: 'a lower-case UUID' };
    throw new RuneError('FIELD_MALFORMED', 'The run id is not a UUID.', facts);
  };

  const begin = (start: MediateStart, header: RcsHeader, isAdopted: boolean): StartedRun => {
    if (start.lmmInstanceId !== '') checkInstance(start.lmmInstanceId);
    checkRunId('start.run_id', start.runId);
    runs.checkStart(start, isAdopted);
    if (draining)
      throw new RuneError('SERVICE_SHUTTING_DOWN', 'The mediator is shutting down and takes no new runs.');
    counts.lastActivity = new Date();
    if (runs.liveCount >= settings.runsMax) {
      counts.refused += 1;
      throw new RuneError(
        'MEDIATOR_FULL',
        `The mediator already has the ${settings.runsMax} runs that it may have.`,
      );
    }
    const { spec, orphanAfterMs } = readStart(start, header, {
      ...deps,
      bounds: settings,
      isAdopted,
    });
    const { runId, executionId, attempt, action } = start;
    const node = spec.command.target.name;
    const { log, finished } = runs.add(
      { runId, executionId, attempt, node, action },
      start.ownerEpoch,
      orphanAfterMs,
      (events) => startLiveRun(spec, settings, events),
    );
    counts.started += 1;
    const startedMs = performance.now();
    void finished.then((outcome) => {
      logOutcome(logger, outcome, {
        node,
        run_id: runId,
        execution_id: executionId,
        trace_id: header.observability?.traceId,
      });
      measureOutcome(meter, outcome, spec.transport.name, (performance.now() - startedMs) / 1000);
    });
    return { runId, finished, events: (signal) => log.read(0, signal) };
  };

  return {
    instanceId,

    start: (start, header) => begin(start, header, false),

    adopt: (start, header) => begin(start, header, true),

    attach(attach) {
      requireInstance('attach.lmm_instance_id', attach.lmmInstanceId);
      checkRunId('attach.run_id', attach.runId);
      const log = runs.attach(attach);
      log.checkPosition(attach.afterEvent);
      return { runId: attach.runId, events: (signal) => log.read(attach.afterEvent, signal) };
    },

    cancel(request) {
      if (request.lmmInstanceId !== '') checkInstance(request.lmmInstanceId);
      runs.stop(request, StopReason.CANCEL, request.reason);
    },

    acknowledge({ lmmInstanceId, runIds }) {
      requireInstance('lmm_instance_id', lmmInstanceId);
      if (runIds.length > ACKNOWLEDGED_MAX) {
        throw new RuneError('FIELD_OUT_OF_RANGE', 'The request names too many runs.', {
          field: 'run_ids',
          originalValue: String(runIds.length),
          expectedFormat: `at most ${ACKNOWLEDGED_MAX}`,
        });
      }
      runs.acknowledge(runIds);
    },

    list: () => runs.list().toSorted((one, other) => (one.runId < other.runId ? -1 : 1)),

    async probe(asked, connectTimeout, signal) {
      const { target, transport } = readTarget(asked, transports);
      const timeoutMs = within(
        'connect_timeout',
        msOf(connectTimeout),
        settings.connectTimeoutMs,
        durationText,
      );
      return transport.probe(target, timeoutMs, signal);
    },

    transports: [...transports.keys()],
    runsMax: settings.runsMax,
    counts,
    kept: runs.kept,

    get runCount() {
      return runs.liveCount;
    },

    async drain(graceMs) {
      draining = true;
      const timer = setTimeout(endGrace, graceMs);
      const live = runs.live();
      const all = Promise.all(live.map((run) => run.finished));
      await Promise.race([all, graceOver]);
      for (const run of live) run.stop(StopReason.SHUTDOWN);
      await all;
      await Promise.race([runs.fetched(), graceOver]);
      clearTimeout(timer);
    },
  };
}
