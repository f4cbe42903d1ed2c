import { durationText, toMs } from '../shared/duration.js';
import { RuneError } from '../shared/errors.js';
import type { Duration } from '../shared/gen/google/protobuf/duration.js';
import type { MediateStart, NodeTarget } from '../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { StopReason, type NodeProbe } from '../shared/gen/rune/v1/run.js';
import type { Logger } from '../shared/logger.js';
import { settledWithin } from '../shared/settled-within.js';
import type { SchemaCompiler } from '../shared/schema.js';
import type { BlobCache } from './blob-cache.js';
import { logOutcome } from './log-outcome.js';
import { startLiveRun, type LiveRun, type LiveRunSettings } from './live-run.js';
import { protocolOf } from './plugin-protocols/protocol-of.js';
import { readPlugin } from './read-plugin.js';
import { readRunAs } from './read-run-as.js';
import { refuseField } from './refuse-field.js';
import type { Transport } from './transports/transport.js';

const PARAMS_BYTES_MAX = 1024 * 1024;
const PORT_MAX = 65_535;
/** Hosts on the way to a node. */
const HOPS_MAX = 8;
/** How a mediator comes to offer a transport that it does not. */
const REMEDIES: Readonly<Record<string, string>> = {
  local: ': set local_enabled: true in its configuration',
  openssh: ': install the ssh of OpenSSH there, or name it as openssh.program in its configuration',
};
const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Run ids remembered after their end, so that none is started twice. */
const ENDED_RUNS_REMEMBERED_MAX = 100_000;

/** A limit that a request may set within bounds. */
export interface Bounds {
  readonly default: number;
  readonly max: number;
}

/** What a mediator allows. */
export interface MediatorSettings extends LiveRunSettings {
  readonly runsMax: number;
  readonly timeoutMs: Bounds;
  readonly killGraceMs: Bounds;
  readonly connectTimeoutMs: Bounds;
  readonly orphanAfterMs: Bounds;
  readonly outputBytesMax: Bounds;
  readonly logBytesMax: Bounds;
}

/** What a mediator works with. */
export interface MediatorDeps {
  readonly transports: ReadonlyMap<string, Transport>;
  readonly blobs: BlobCache;
  readonly schemas: SchemaCompiler;
  readonly settings: MediatorSettings;
  readonly logger: Logger;
}

/** Starts, finds and ends the runs of this process. */
export interface Mediator {
  /** Checks everything, then starts. Throws a RuneError when it refuses: then nothing has reached the node. */
  start(start: MediateStart, header: RcsHeader): LiveRun;
  /** Asks a run to stop; its outcome tells the reason. Throws RUN_NOT_FOUND. */
  cancel(runId: string, reason?: string): void;
  probe(target: NodeTarget, connectTimeout: Duration | undefined, signal: AbortSignal): Promise<NodeProbe>;
  /** Number of runs that have not ended. */
  readonly runCount: number;
  /** Refuses new runs, gives those in flight `graceMs` to end, then stops them and waits until each has its outcome. */
  drain(graceMs: number): Promise<void>;
}

function within(
  field: string,
  asked: number | undefined,
  bounds: Bounds,
  write: (amount: number) => string = String,
): number {
  if (asked === undefined || asked === 0) return bounds.default;
  if (asked > 0 && asked <= bounds.max) return asked;
  throw new RuneError('FIELD_OUT_OF_RANGE', `${field} is not within what this mediator allows.`, {
    field: `start.limits.${field}`,
    originalValue: write(asked),
    expectedFormat: `more than 0 and at most ${write(bounds.max)}`,
  });
}

const ms = (duration: Duration | undefined): number | undefined =>
  duration === undefined ? undefined : toMs(duration);

function checkJsonObject(field: string, bytes: Buffer): void {
  if (bytes.length === 0) return;
  if (bytes.length > PARAMS_BYTES_MAX)
    refuseField(field, `${field} is larger than ${PARAMS_BYTES_MAX} bytes.`, 'at most 1 MiB');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    // Reported below, with every other shape that is not an object.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuseField(field, `${field} is not one JSON object.`, 'a JSON object');
  }
}

/** Makes the mediator. */
export function createMediator({ transports, blobs, schemas, settings, logger }: MediatorDeps): Mediator {
  const live = new Map<string, LiveRun>();
  const ended = new Set<string>();
  let draining = false;

  const transportFor = (target: NodeTarget | undefined): { target: NodeTarget; transport: Transport } => {
    if (target === undefined || target.name === '')
      return refuseField('target.name', 'The target has no name.', 'the name of a node');
    if (target.port > PORT_MAX)
      refuseField('target.port', 'The target has no such port.', `0 to ${PORT_MAX}`);
    if (target.jump.length > HOPS_MAX)
      refuseField('target.jump', 'The way to the target is too long.', `at most ${HOPS_MAX} hosts`);
    for (const [index, hop] of target.jump.entries()) {
      if (hop.name === '' || hop.address === '' || hop.port > PORT_MAX)
        refuseField(
          `target.jump[${index}]`,
          'A host on the way is incomplete.',
          'a name, an address and a port',
        );
    }
    const transport = transports.get(target.transport);
    if (transport === undefined) {
      const remedy = REMEDIES[target.transport] ?? '';
      throw new RuneError(
        'TRANSPORT_NOT_AVAILABLE',
        `This mediator does not offer the transport "${target.transport}"${remedy}.`,
        {
          node: target.name,
          field: 'start.target.transport',
          originalValue: target.transport,
          expectedFormat: [...transports.keys()].join(', '),
        },
      );
    }
    return { target, transport };
  };

  return {
    start(start, header) {
      if (draining)
        throw new RuneError('SERVICE_SHUTTING_DOWN', 'The mediator is shutting down and takes no new runs.');
      if (!RUN_ID.test(start.runId)) refuseField('run_id', 'The run id is not a UUID.', 'a lower-case UUID');
      if (live.has(start.runId) || ended.has(start.runId)) {
        throw new RuneError('RUN_ALREADY_EXISTS', 'This run was started before.', { runId: start.runId });
      }
      if (live.size >= settings.runsMax) {
        throw new RuneError(
          'MEDIATOR_FULL',
          `The mediator already has the ${settings.runsMax} runs that it may have.`,
        );
      }
      const { target, transport } = transportFor(start.target);
      checkJsonObject('params_json', start.paramsJson);
      checkJsonObject('context.node_vars_json', start.context?.nodeVarsJson ?? Buffer.alloc(0));
      checkJsonObject('context.configuration_json', start.context?.configurationJson ?? Buffer.alloc(0));
      const protocol = protocolOf(start.plugin);
      const limits = start.limits;
      const output = start.outputSchema === '' ? undefined : schemas.compile(start.outputSchema, 'output');
      const outputBytesMax = within('output_bytes_max', limits?.outputBytesMax, settings.outputBytesMax);
      const run = startLiveRun(
        {
          command: {
            runId: start.runId,
            target,
            runAs: readRunAs(start.runAs),
            ...readPlugin(start.plugin, blobs),
            input: protocol.input(start, header),
            environment: protocol.environment(start),
            timeoutMs: within('timeout', ms(limits?.timeout), settings.timeoutMs, durationText),
            killGraceMs: within('kill_grace', ms(limits?.killGrace), settings.killGraceMs, durationText),
            connectTimeoutMs: within(
              'connect_timeout',
              ms(limits?.connectTimeout),
              settings.connectTimeoutMs,
              durationText,
            ),
          },
          transport,
          header,
          facts: {
            node: target.name,
            action: start.action,
            executionId: start.executionId,
            runId: start.runId,
            attempt: start.attempt,
          },
          dryRun: start.context?.dryRun ?? false,
          protocol,
          outputBytesMax,
          logBytesMax: within('log_bytes_max', limits?.logBytesMax, settings.logBytesMax),
          orphanAfterMs: within(
            'orphan_after',
            ms(limits?.orphanAfter),
            settings.orphanAfterMs,
            durationText,
          ),
          checkOutput: (value) => output?.validate(value) ?? [],
        },
        settings,
      );
      live.set(run.runId, run);
      void run.finished.then((outcome) => {
        logOutcome(logger, outcome, {
          node: target.name,
          run_id: run.runId,
          execution_id: start.executionId,
          trace_id: header.observability?.traceId,
        });
        live.delete(run.runId);
        ended.add(run.runId);
        if (ended.size > ENDED_RUNS_REMEMBERED_MAX) {
          const [oldest] = ended;
          ended.delete(oldest as string);
        }
      });
      return run;
    },

    cancel(runId, reason) {
      const run = live.get(runId);
      if (run === undefined)
        throw new RuneError('RUN_NOT_FOUND', 'This mediator has no such run in flight.', { runId });
      run.stop(StopReason.CANCEL, reason);
    },

    async probe(asked, connectTimeout, signal) {
      const { target, transport } = transportFor(asked);
      const timeoutMs = within(
        'connect_timeout',
        ms(connectTimeout),
        settings.connectTimeoutMs,
        durationText,
      );
      return transport.probe(target, timeoutMs, signal);
    },

    get runCount() {
      return live.size;
    },

    async drain(graceMs) {
      draining = true;
      const runs = [...live.values()];
      const all = Promise.all(runs.map((run) => run.finished));
      await settledWithin(all, graceMs);
      for (const run of runs) run.stop(StopReason.SHUTDOWN);
      await all;
    },
  };
}
