import { durationText, toMs } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import type { Duration } from '../../shared/gen/google/protobuf/duration.js';
import type { MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { idTimeMs } from '../../shared/messages/ids.js';
import type { SchemaCompiler } from '../../shared/schema/schema.js';
import type { BlobCache } from '../blob-cache.js';
import { within, type Bounds } from './bounds.js';
import type { LiveRunSpec } from '../runs/live-run.js';
import { protocolOf } from '../plugin-protocols/protocol-of.js';
import { readPlugin } from './read-plugin.js';
import { readReferences } from './read-references.js';
import { readRunAs } from './read-run-as.js';
import { readSecrets } from './read-secrets.js';
import { readTarget } from './read-target.js';
import { refuseField } from '../refuse-field.js';
import type { NodeCommand, Transport } from '../transports/transport.js';

const PARAMS_BYTES_MAX = 1024 * 1024;
const DISPATCH_GROUP = /^[0-9A-Za-z.-]{1,64}$/;

/** The limits of a run: each as it is when the request does not say, and at most. */
export interface RunBounds {
  readonly timeoutMs: Bounds;
  readonly killGraceMs: Bounds;
  readonly connectTimeoutMs: Bounds;
  readonly orphanAfterMs: Bounds;
  readonly outputBytesMax: Bounds;
  readonly logBytesMax: Bounds;
}

/** What a request to start a run is read with. */
export interface ReadStartDeps {
  readonly transports: ReadonlyMap<string, Transport>;
  readonly blobs: BlobCache;
  readonly schemas: SchemaCompiler;
  readonly bounds: RunBounds;
  /** The run was started by another process, which is lost. */
  readonly isAdopted: boolean;
}

/** A duration of a request in milliseconds. */
export const msOf = (duration: Duration | undefined): number | undefined =>
  duration === undefined ? undefined : toMs(duration);

/** Everything that a run is, checked, and how long it may go without a reader. Throws the refusals of a start. */
export function readStart(
  start: MediateStart,
  header: RcsHeader,
  { transports, blobs, schemas, bounds, isAdopted }: ReadStartDeps,
): { spec: LiveRunSpec; orphanAfterMs: number } {
  const { target, transport } = readTarget(start.target, transports);
  if (isAdopted && transport.adopt === undefined) {
    const message = `A run over the transport "${target.transport}" ends with its mediator: there is nothing to adopt.`;
    throw new RuneError('TRANSPORT_NOT_AVAILABLE', message, { node: target.name, runId: start.runId });
  }
  checkJsonObject('params_json', start.paramsJson);
  checkJsonObject('context.node_vars_json', start.context?.nodeVarsJson ?? Buffer.alloc(0));
  checkJsonObject('context.configuration_json', start.context?.configurationJson ?? Buffer.alloc(0));
  const protocol = protocolOf(start.plugin);
  const { limits } = start;
  const output = start.outputSchema === '' ? undefined : schemas.compile(start.outputSchema, 'output');
  const duration = (field: string, asked: Duration | undefined, allowed: Bounds): number =>
    within(field, msOf(asked), allowed, durationText);
  const spec: LiveRunSpec = {
    command: {
      runId: start.runId,
      target,
      runAs: readRunAs(start.runAs),
      ...readPlugin(start.plugin, blobs),
      ...readReferences(start, transport, (filled) => protocol.input(filled, header)),
      environment: protocol.environment(start),
      timeoutMs: duration('timeout', limits?.timeout, bounds.timeoutMs),
      killGraceMs: duration('kill_grace', limits?.killGrace, bounds.killGraceMs),
      connectTimeoutMs: duration('connect_timeout', limits?.connectTimeout, bounds.connectTimeoutMs),
      ...readDispatchGroup(start.dispatchGroup),
    },
    transport,
    adoptedFrom: isAdopted ? new Date(idTimeMs(start.runId) ?? 0) : undefined,
    header,
    facts: {
      node: target.name,
      action: start.action,
      executionId: start.executionId,
      runId: start.runId,
      attempt: start.attempt,
    },
    secrets: readSecrets(start),
    dryRun: start.context?.dryRun ?? false,
    protocol,
    outputBytesMax: within('output_bytes_max', limits?.outputBytesMax, bounds.outputBytesMax),
    logBytesMax: within('log_bytes_max', limits?.logBytesMax, bounds.logBytesMax),
    checkOutput: (value) => output?.validate(value) ?? [],
  };
  return { spec, orphanAfterMs: duration('orphan_after', limits?.orphanAfter, bounds.orphanAfterMs) };
}

/** It becomes part of what others can read of a command. */
function readDispatchGroup(dispatchGroup: string): Pick<NodeCommand, 'dispatchGroup'> {
  if (dispatchGroup === '') return {};
  if (!DISPATCH_GROUP.test(dispatchGroup))
    refuseField(
      'dispatch_group',
      'The dispatch group cannot be carried.',
      '1 to 64 letters, digits, "." and "-"',
    );
  return { dispatchGroup };
}

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
