import assert from 'node:assert/strict';
import { createCommitQueue } from '../../services/lom/store/commit-queue.js';
import type { Dispatcher } from '../../services/lom/dispatch/dispatch.js';
import { createFairSlots, type FairSlots } from '../../services/lom/execution/fair-slots.js';
import { executionStatus } from '../../services/lom/execution/execution-status.js';
import { performExecution, type Execution } from '../../services/lom/execution/execution.js';
import type { ExecutionSettings, OwnedExecution } from '../../services/lom/execution/owned-execution.js';
import {
  configuredMediators,
  createMediators,
  type Mediators,
} from '../../services/lom/mediators/mediators.js';
import { createLockTurns, type LockTurns } from '../../services/lom/execution/lock-turns.js';
import { readRetries } from '../../services/lom/execution/read-retries.js';
import { reserveRuns } from '../../services/lom/execution/reserve-runs.js';
import { newRun } from '../../services/lom/execution/new-run.js';
import type { Intent } from '../../services/lom/plan/intent.js';
import type { Plan } from '../../services/lom/plan/plan.js';
import { createRecorder, eventRecord } from '../../services/lom/execution/recorder.js';
import type { Created, ExecutionRecord, NewRun, Store } from '../../services/lom/store/store.js';
import { createWatchHub } from '../../services/lom/watch/watch-hub.js';
import { watchExecution, type WatchChoice } from '../../services/lom/watch/watch.js';
import type { Action } from '../../services/shared/bundle/action.js';
import { RunResponse, SubmitExecutionRequest } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, Node } from '../../services/shared/gen/rune/v1/run.js';
import { MessageMetadata, type RcsHeader } from '../../services/shared/gen/rune/v1/rcs.js';
import { acceptHeader } from '../../services/shared/messages/header.js';
import { newId } from '../../services/shared/messages/ids.js';
import type { Logger } from '../../services/shared/logging/logger.js';
import { recordingLogger } from './recording-logger.js';

/** Settings with which nothing takes long. */
export const QUICK: ExecutionSettings = {
  lostAfterMs: 200,
  attachRetryMs: 1,
  attachRetryMsMax: 5,
  sendsMax: 3,
  mediatorWaitMs: 100,
  mediatorRetryMs: 5,
  cancelTriesMax: 3,
  cancelRetryMs: 1,
  logRunBytesMax: 4096,
  logExecutionBytesMax: 1024 * 1024,
  resultsExecutionBytesMax: 1024 * 1024,
};

/** A plan for these nodes, whose mediators are `m:1` and then `m:2`. */
export function planOf(nodes: readonly string[], fields: Partial<Plan> = {}): Plan {
  return {
    action: {
      capability: { action: 'noop', version: '1.0.0', digest: 'd', cooldownMs: 0 },
    } as unknown as Action,
    params: {},
    paramsJson: Buffer.from('{}'),
    arguments: [],
    reason: '',
    dryRun: false,
    timeoutMs: 1000,
    killGraceMs: 100,
    connectTimeoutMs: 100,
    maxParallel: 100,
    locksNodes: false,
    limit: undefined,
    queueWaitMs: 0,
    retries: { max: 0, delayMs: 1, atLeastOnce: false },
    rollout: { canary: false, batchSize: Math.max(1, nodes.length), failuresMax: Infinity },
    runs: nodes.map((name) => ({
      node: Node.fromPartial({ name, lockKey: name }),
      transport: 'ssh',
      mediators: [],
      jump: [],
      configuration: {},
      runAs: undefined,
    })),
    ...fields,
  };
}

function inOrder(addresses: readonly string[]): Mediators {
  const endpoints = addresses.map((address) => ({ address, zone: '' }));
  const mediators = createMediators(() => configuredMediators(endpoints));
  return {
    ...mediators,
    candidates: (node, transport) =>
      mediators.candidates(node, transport).toSorted((a, b) => (a.address < b.address ? -1 : 1)),
  };
}

/** How an execution is performed, where the defaults will not do. */
export interface PerformFields {
  readonly settings?: Partial<ExecutionSettings>;
  readonly logger?: Logger;
  readonly runsMax?: number;
  /** When the request expires. */
  readonly expiresAt?: Date;
  /** Addresses of the mediators, in the order in which they are chosen. */
  readonly mediators?: readonly string[];
  /** Whose waiting runs wake one another. */
  readonly turns?: LockTurns;
}

const LOCK_POLL_MS = 60_000;

/** An execution that is performed from its record in a real store, and those who watch it. */
export interface RecordedExecution extends Omit<Execution, 'active' | 'queued'> {
  readonly record: ExecutionRecord;
  /** Its events from `fromSeq` on, until the end. `seen` hears each at once. */
  events(
    seen?: (event: RunResponse) => void,
    fromSeq?: number,
    choice?: Partial<WatchChoice>,
  ): Promise<RunResponse[]>;
}

const HEADER = acceptHeader(undefined, { identity: 'test', nowMs: Date.now() });

const expiring = (expiresAt: Date | undefined): RcsHeader => ({
  ...HEADER,
  messageMetadata: MessageMetadata.fromPartial({ ...HEADER.messageMetadata, expiresAt }),
});

/** Records an execution of this plan for the owner "me", of which nothing is about to be sent. */
export async function recordExecution(store: Store, plan: Plan): Promise<ExecutionRecord> {
  const runs = plan.runs.map(({ node }) => ({ runId: newId(), node: node.name }));
  return (await createRecorded(store, plan, newId(), runs)).execution;
}

function createRecorded(store: Store, plan: Plan, id: string, runs: readonly NewRun[]): Promise<Created> {
  const { action, version, digest } = plan.action.capability;
  const about = { state: ExecutionState.RUNNING, action, version, digest };
  const status = executionStatus({ ...about, runs: plan.runs.length }, new Map());
  return store.createExecution(
    {
      ...about,
      id,
      reason: '',
      triggeredBy: 'test',
      correlationId: 'c',
      requestId: '',
      requestDigest: Buffer.alloc(0),
      dryRun: false,
      rerunOf: '',
      owner: 'me',
      request: Buffer.from(SubmitExecutionRequest.encode(SubmitExecutionRequest.create()).finish()),
      runs,
      event: eventRecord(1, undefined, new Date(), { $case: 'execution', value: status }),
    },
    60_000,
  );
}

/** What of this process the executions of a test work with. */
interface Process {
  readonly slots: FairSlots;
  readonly mediators: Mediators;
}

const processOf = ({ mediators, runsMax }: PerformFields): Process => ({
  slots: createFairSlots(runsMax ?? 1000),
  mediators: inOrder(mediators ?? ['m:1', 'm:2']),
});

const intentOf = (plan: Plan): Intent => ({
  plan,
  runs: new Map(plan.runs.map((run) => [run.node.name, run])),
});

/** Goes on with an execution from where it is recorded to be. */
export async function resumeExecution(
  store: Store,
  record: ExecutionRecord,
  plan: Plan,
  dispatcher: Dispatcher,
  fields: PerformFields = {},
): Promise<RecordedExecution> {
  const runs = await store.runs(record.id, { after: -1, limit: 20_000 });
  const owned: OwnedExecution = {
    record,
    runs,
    awayMs: await store.awayMs(record.id),
    retries: await readRetries(store, record.id, runs),
    resultBytes: await store.outcomeBytes(record.id),
    reserved: new Map(),
    header: expiring(fields.expiresAt),
    intent: intentOf(plan),
  };
  return performOwned(store, owned, dispatcher, fields, processOf(fields));
}

function performOwned(
  store: Store,
  owned: OwnedExecution,
  dispatcher: Dispatcher,
  fields: PerformFields,
  { slots, mediators }: Process,
): RecordedExecution {
  const { record } = owned;
  const logger = fields.logger ?? recordingLogger().logger;
  const hub = createWatchHub();
  const turns = fields.turns ?? createLockTurns(LOCK_POLL_MS);
  const commits = createCommitQueue(store, { bytesMax: 64 * 1024, groupBytesMax: 64 * 1024 }, logger);
  const execution = performExecution(owned, {
    dispatcher,
    mediators,
    recorder: createRecorder(record, commits, hub),
    slots,
    locks: { store, turns, pollMs: LOCK_POLL_MS },
    settings: { ...QUICK, ...fields.settings },
    logger,
  });
  return {
    record,
    id: execution.id,
    counts: execution.counts,
    get state() {
      return execution.state;
    },
    cancel: execution.cancel,
    leave: execution.leave,
    finished: execution.finished,
    async events(seen = () => undefined, fromSeq = 1, choice = {}) {
      const events: RunResponse[] = [];
      const wanted = { executionId: record.id, fromSeq, nodes: [], withoutLog: false, kinds: [], ...choice };
      const signal = new AbortController().signal;
      for await (const { bytes } of watchExecution(wanted, HEADER, signal, { store, hub, pollMs: 100 })) {
        const event = RunResponse.decode(bytes);
        events.push(event);
        seen(event);
      }
      return events;
    },
  };
}

/** Records an execution, with what its first runs need where that is free, and performs it. */
export async function executeRecorded(
  store: Store,
  plan: Plan,
  dispatcher: Dispatcher,
  fields: PerformFields = {},
): Promise<RecordedExecution> {
  const { slots, mediators } = processOf(fields);
  const id = newId();
  const intent = intentOf(plan);
  const runs = plan.runs.map(({ node }, position) => newRun(position, newId(), node.name));
  const reserved = reserveRuns(id, runs, intent, { slots, mediators, dispatcher });
  const { execution, placed } = await createRecorded(store, plan, id, reserved.runs);
  const owned: OwnedExecution = {
    record: execution,
    ...reserved.keep(placed),
    awayMs: new Map(),
    retries: new Map(),
    resultBytes: 0,
    header: expiring(fields.expiresAt),
    intent,
  };
  return performOwned(store, owned, dispatcher, fields, { slots, mediators });
}

/** Gives an execution that is recorded to the next owner: who performs it now records nothing more. */
export async function takeOver(store: Store, id: string): Promise<ExecutionRecord> {
  const record = (await store.takeOver('me', 100, [id])).find((taken) => taken.id === id);
  assert.ok(record !== undefined, 'nobody can take the execution over');
  return record;
}

/** Leaves an execution to its next owner. */
export async function handOver(
  store: Store,
  { id, leave, finished }: Pick<Execution, 'id' | 'leave' | 'finished'>,
): Promise<ExecutionRecord> {
  leave();
  await finished;
  return takeOver(store, id);
}
