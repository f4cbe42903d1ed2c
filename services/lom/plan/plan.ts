import { durationText, toMs } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import { checkReason } from '../../shared/messages/reason.js';
import { OnLocked, type PlanExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { Risk } from '../../shared/gen/rune/v1/mrs.js';
import type { Node, RunAs } from '../../shared/gen/rune/v1/run.js';
import { resolveArguments } from './arguments.js';
import type { Inventory } from '../inventory/inventory.js';
import type { MediatorCandidate, Mediators } from '../mediators/mediators.js';
import { configurationFor } from './configuration.js';
import { checkParams } from './params.js';
import type { Action } from '../../shared/bundle/action.js';
import type { Registry } from '../actions/registry.js';
import type { ActionLimit } from '../store/store.js';
import { planRetries, type RetryPlan } from './plan-retries.js';
import { planRollout, type RolloutPlan } from './rollout.js';
import { requireReferences } from './secret-references.js';
import { resolveTargets } from '../inventory/targets.js';
import { checkTaskParameters } from './task-parameters.js';

const ON_LOCKED = new Set<OnLocked>([OnLocked.UNSPECIFIED, OnLocked.QUEUE, OnLocked.REFUSE]);
const QUEUE_TIMEOUT_MS_MIN = 1_000;
const QUEUE_TIMEOUT_MS_MAX = 24 * 60 * 60 * 1_000;

/** Limits that every plan gets or is held to. */
export interface PlanSettings {
  readonly timeoutMsMax: number;
  readonly killGraceMs: number;
  readonly connectTimeoutMs: number;
  /** Runs of one execution at the same time. */
  readonly parallelMax: number;
  /** Retries that a request may ask for, and the pause before the first of them unless it says so. */
  readonly retriesMax: number;
  readonly retryDelayMs: number;
  /** How long a run waits for its node unless the request says so. */
  readonly lockQueueTimeoutMs: number;
}

/** What plans are made from, as it is at each moment. */
export interface PlanSources {
  readonly registry: Registry;
  readonly inventory: Inventory;
  readonly mediators: Pick<Mediators, 'candidates'>;
  readonly settings: PlanSettings;
}

/** How one node is reached. `mediators` is never empty: those of its zone as they were when it was planned, its own first. */
export interface PlannedNode {
  readonly node: Node;
  readonly transport: string;
  readonly mediators: readonly MediatorCandidate[];
  /** The nodes on the way, from the mediator on. */
  readonly jump: readonly Node[];
}

/** One run of a plan with the configuration that the action has on its node, and the user it runs as if not the login. */
export interface PlannedRun extends PlannedNode {
  readonly runAs: RunAs | undefined;
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** A request that was found to be good, with everything that running it needs. */
export interface Plan {
  readonly action: Action;
  readonly params: Record<string, unknown>;
  /** The same as mediators are told, shared by all runs. */
  readonly paramsJson: Buffer;
  /** What the plugin gets as its arguments. */
  readonly arguments: readonly string[];
  readonly reason: string;
  readonly dryRun: boolean;
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  readonly connectTimeoutMs: number;
  readonly maxParallel: number;
  readonly rollout: RolloutPlan;
  readonly retries: RetryPlan;
  /** Whether each run needs the lock of its node, because it changes something there. */
  readonly locksNodes: boolean;
  /** How many runs of the action are under way at one time; undefined for any number. */
  readonly limit: ActionLimit | undefined;
  /** How long a run waits for both, 0 not to wait. */
  readonly queueWaitMs: number;
  /** One for each node, sorted by name. */
  readonly runs: readonly PlannedRun[];
}

function timeoutOf(request: PlanExecutionRequest, action: Action, settings: PlanSettings): number {
  if (request.timeout === undefined) return Math.min(action.capability.timeoutMs, settings.timeoutMsMax);
  const timeoutMs = toMs(request.timeout);
  if (timeoutMs >= 1000 && timeoutMs <= settings.timeoutMsMax) return timeoutMs;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'The timeout is not within what this service allows.', {
    field: 'timeout',
    originalValue: durationText(timeoutMs),
    expectedFormat: `1s to ${durationText(settings.timeoutMsMax)}`,
  });
}

function parallelOf(
  request: PlanExecutionRequest,
  settings: PlanSettings,
  limit: ActionLimit | undefined,
): number {
  const asked = request.rollout?.maxParallel ?? 0;
  // More would only stand in the queue, before others that ask for the action later.
  if (asked <= settings.parallelMax) return Math.min(asked || settings.parallelMax, limit?.max ?? Infinity);
  throw new RuneError('FIELD_OUT_OF_RANGE', 'max_parallel is more than this service allows.', {
    field: 'rollout.max_parallel',
    originalValue: String(asked),
    expectedFormat: `1 to ${settings.parallelMax}`,
  });
}

function limitOf({ capability: { action, maxConcurrent } }: Action): ActionLimit | undefined {
  return maxConcurrent === 0 ? undefined : { action, max: maxConcurrent };
}

function queueWaitOf({ onLocked, queueTimeout }: PlanExecutionRequest, settings: PlanSettings): number {
  if (!ON_LOCKED.has(onLocked)) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'on_locked has a value that is not known.', {
      field: 'on_locked',
      originalValue: String(onLocked),
      expectedFormat: 'ON_LOCKED_QUEUE or ON_LOCKED_REFUSE',
    });
  }
  const waitMs = queueTimeout === undefined ? settings.lockQueueTimeoutMs : toMs(queueTimeout);
  if (queueTimeout !== undefined && (waitMs < QUEUE_TIMEOUT_MS_MIN || waitMs > QUEUE_TIMEOUT_MS_MAX)) {
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The queue timeout is not within what this service allows.', {
      field: 'queue_timeout',
      originalValue: durationText(waitMs),
      expectedFormat: `${durationText(QUEUE_TIMEOUT_MS_MIN)} to ${durationText(QUEUE_TIMEOUT_MS_MAX)}`,
    });
  }
  return onLocked === OnLocked.REFUSE ? 0 : waitMs;
}

function transportOf(node: Node, asked: string): string {
  if (asked === '') return node.transports[0] as string;
  if (node.transports.includes(asked)) return asked;
  throw new RuneError('TRANSPORT_NOT_AVAILABLE', `${node.name} does not list the transport "${asked}".`, {
    node: node.name,
    field: 'transport',
    originalValue: asked,
    expectedFormat: node.transports.join(', '),
  });
}

/** The user that the action needs, or else the one of the inventory, which alone says how to become that user. */
function runAsOf(action: Action, node: Node): RunAs | undefined {
  const user = action.capability.runAs || (node.runAs?.user ?? '');
  return user === '' ? undefined : { user, become: node.runAs?.become || 'sudo' };
}

/** Where and how one node is reached; `transport` is empty for the node's first. */
export function planNode(
  node: Node,
  askedTransport: string,
  sources: Pick<PlanSources, 'mediators'> & { readonly inventory: Pick<Inventory, 'get'> },
): PlannedNode {
  const transport = transportOf(node, askedTransport);
  const mediators = sources.mediators.candidates(node, transport);
  if (mediators.length === 0) {
    const zone = node.zone === '' ? 'without a zone' : `of zone "${node.zone}"`;
    const message = `No mediator ${zone} is configured or registered, as ${node.name} needs.`;
    throw new RuneError('NO_MEDIATOR_FOR_ZONE', message, { node: node.name });
  }
  return { node, transport, mediators, jump: node.jump.map(sources.inventory.get) };
}

/** Decides everything about a request without contacting anyone. Throws a RuneError that says what is wrong with it. */
export function makePlan(request: PlanExecutionRequest, sources: PlanSources): Plan {
  const { registry, inventory, settings } = sources;
  if (request.action === '')
    throw new RuneError('FIELD_MISSING', 'The request names no action.', { field: 'action' });
  checkReason(request.reason);
  const action = registry.get(request.action);
  const about = { action: action.capability.action };
  if (request.dryRun && !action.capability.supportsDryRun) {
    throw new RuneError(
      'DRY_RUN_NOT_SUPPORTED',
      `${about.action} cannot say what it would do without doing it.`,
      about,
    );
  }
  const params = checkParams(request.params ?? {}, action);
  const words = resolveArguments(action, params);
  checkTaskParameters(action, params);
  const nodes = resolveTargets(request.targets, inventory);
  const resting = nodes.filter((node) => node.maintenance).map((node) => node.name);
  if (resting.length > 0) {
    const more = resting.length > 5 ? ` and ${resting.length - 5} more` : '';
    throw new RuneError('NODE_IN_MAINTENANCE', `In maintenance: ${resting.slice(0, 5).join(', ')}${more}.`, {
      node: resting[0] as string,
    });
  }
  const runs = nodes.map((node) => {
    const { transport, mediators, jump } = planNode(node, request.transport, sources);
    const configuration = configurationFor(action, node, inventory);
    return { node, transport, mediators, jump, runAs: runAsOf(action, node), configuration };
  });
  requireReferences(action, params, runs);
  const limit = limitOf(action);
  return {
    action,
    params,
    paramsJson: Buffer.from(JSON.stringify(params)),
    arguments: words,
    reason: request.reason,
    dryRun: request.dryRun,
    timeoutMs: timeoutOf(request, action, settings),
    killGraceMs: settings.killGraceMs,
    connectTimeoutMs: settings.connectTimeoutMs,
    maxParallel: parallelOf(request, settings, limit),
    rollout: planRollout(request.rollout, nodes.length),
    retries: planRetries(request, action, settings),
    locksNodes: action.capability.risk !== Risk.READ_ONLY && !request.dryRun,
    limit,
    queueWaitMs: queueWaitOf(request, settings),
    runs,
  };
}

/** Refuses to run a destructive plan whose risk the caller did not acknowledge; looking at it is always allowed. */
export function requireAcknowledgement(plan: Plan, acknowledged: boolean): void {
  const { action, risk } = plan.action.capability;
  if (risk !== Risk.DESTRUCTIVE || plan.dryRun || acknowledged) return;
  throw new RuneError(
    'RISK_NOT_ACKNOWLEDGED',
    `${action} is destructive and the risk was not acknowledged.`,
    { action },
  );
}
