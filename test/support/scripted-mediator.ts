import { createHash } from 'node:crypto';
import { MediateStart } from '../../services/shared/gen/rune/v1/lmm.js';
import { newId } from '../../services/shared/messages/ids.js';
import type { Logger } from '../../services/shared/logging/logger.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';
import { createBlobCache } from '../../services/lmm/blob-cache.js';
import { createMediator, type Mediator, type MediatorSettings } from '../../services/lmm/mediate.js';
import { createLocalTransport } from '../../services/lmm/transports/local.js';
import { DEFAULT_NODE_PROTOCOL } from '../../services/lmm/transports/supervise.js';
import type { NodeEnding, RunSink } from '../../services/lmm/transports/transport.js';
import { recordingLogger } from './recording-logger.js';
import { ended, scriptedTransport, type NodeScript } from './scripted-transport.js';

const SETTINGS: MediatorSettings = {
  runsMax: 2,
  unreadBytesMax: 4096,
  replayBytesMax: 4096,
  replayTotalBytesMax: 1_000_000,
  outcomeKeepMs: 60_000,
  outcomesMax: 100,
  outcomesTotalBytesMax: 1_000_000,
  lineBytesMax: 1024,
  batchBytesMax: 512,
  batchAfterMs: 5,
  timeoutMs: { default: 60_000, max: 60_000 },
  killGraceMs: { default: 1000, max: 5000 },
  connectTimeoutMs: { default: 1000, max: 5000 },
  orphanAfterMs: { default: 60_000, max: 60_000 },
  outputBytesMax: { default: 1024, max: 4096 },
  logBytesMax: { default: 1_000_000, max: 10_000_000 },
};

/** What mediatorWith makes a mediator of, unless it is given something else. */
export interface ScriptedMediatorOptions {
  readonly settings?: Partial<MediatorSettings>;
  readonly logger?: Logger;
  readonly instanceId?: string;
  /** Offers the real transport `local` too. */
  readonly local?: boolean;
}

/** Fields of a start that a test sets. */
export type StartFields = Parameters<typeof MediateStart.fromPartial>[0];

/** The lower-case hexadecimal SHA-256 of the bytes. */
export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A script as a plugin of MediateStart. */
export function pluginOf(script: Buffer): { script: { sha256: string; content: Buffer } } {
  return { script: { sha256: sha256(script), content: script } };
}

/** A start that a mediator takes: a new run of a small plugin on the scripted transport. */
export function startMessage(fields: StartFields = {}): MediateStart {
  return MediateStart.fromPartial({
    runId: newId(),
    executionId: newId(),
    attempt: 1,
    action: 'noop',
    plugin: pluginOf(Buffer.from('echo hello\n')),
    target: { name: 'web01', transport: 'scripted' },
    paramsJson: Buffer.from('{}'),
    ...fields,
  });
}

/** A mediator with small bounds whose node does what the script says. */
export function mediatorWith(run: NodeScript, options: ScriptedMediatorOptions = {}): Mediator {
  const local = createLocalTransport({ settings: DEFAULT_NODE_PROTOCOL });
  return createMediator({
    instanceId: options.instanceId ?? 'this-process',
    transports: new Map([
      ['scripted', scriptedTransport('scripted', run)],
      ...(options.local === true ? ([['local', local]] as const) : []),
    ]),
    blobs: createBlobCache(1024 * 1024),
    schemas: createSchemaCompiler(),
    logger: options.logger ?? recordingLogger().logger,
    settings: { ...SETTINGS, ...options.settings },
  });
}

/** A node whose plugin succeeds at once with this output_data. */
export async function succeedWith(sink: RunSink, outputJson: string): Promise<NodeEnding> {
  sink.started();
  await sink.stdout(Buffer.from(`{"payload":{"result":"success","output_data":${outputJson}}}`));
  return ended(0);
}
