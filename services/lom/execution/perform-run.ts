import { RuneError } from '../../shared/errors.js';
import { lateByMs } from '../../shared/messages/header.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import type { Placement } from '../dispatch/placement.js';
import type { RunIdentity } from '../dispatch/run-identity.js';
import { chooseMediator, type MediatorCandidate } from '../mediators/mediators.js';
import { followRun, type FollowDeps, type FollowSettings } from './follow-run.js';
import type { Sendable } from '../plan/intent.js';
import { createOwnOutcomes } from './own-outcomes.js';
import { NotOwner } from './recorder.js';
import { isBreak, relayMessages, type Ending } from './relay-messages.js';
import type { Reservation } from './reserve-runs.js';
import type { RunLog } from './run-log.js';

/** How a run is sent, again where that is safe, and how long it is looked for. */
export interface PerformSettings extends FollowSettings {
  /** Times that a run is sent before it is given up, each only after proof that it did not start. */
  readonly sendsMax: number;
  /** How long a run waits for a mediator with room, and the longest pause between looking for one. */
  readonly mediatorWaitMs: number;
  readonly mediatorRetryMs: number;
}

/** What performing a run works with. */
export interface PerformDeps extends FollowDeps {
  readonly settings: PerformSettings;
  /** Name of the action. */
  readonly action: string;
  /** Why the execution is to stop; undefined while it is not. */
  readonly cancelReason: () => string | undefined;
  /** Where it is recorded that the run is about to be sent, and it has not been; it counts there until `end`. */
  readonly reserved: Pick<Reservation, 'placement' | 'end'> | undefined;
  /**
   * Records where the run is about to be sent, unless that is what is reserved; false if others have what it needs, and nothing is
   * recorded. Throws NODE_COOLING_DOWN for a run that is not to be sent.
   */
  readonly place: (placement: Placement) => Promise<boolean>;
  /**
   * Waits until the run may ask for that again, and resolves with the outcome of a run that is not to start any more. Throws
   * NODE_LOCKED or ACTION_LIMIT_REACHED when it has waited long enough.
   */
  readonly waitForLock: () => Promise<Outcome | undefined>;
  /** Aborts with the signal, and when the execution is to stop: nobody waits for a mediator any more. */
  readonly hurry: AbortSignal;
}

/** These refusals come from the mediator itself and prove that it did not take the run: the next one may. */
const SPILL = new Set([
  'MEDIATOR_UNAVAILABLE',
  'MEDIATOR_FULL',
  'SERVICE_SHUTTING_DOWN',
  'TRANSPORT_NOT_AVAILABLE',
]);

/** Why a run that waited does not start. */
const KEEPS_OUT = new Set(['NODE_LOCKED', 'ACTION_LIMIT_REACHED']);

/** Statuses with which a mediator refuses what it will not start; with any other one it may have started it. */
const REFUSALS = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'NOT_FOUND', 'RESOURCE_EXHAUSTED']);

const isRefusal = (error: RuneError): boolean =>
  error.eps !== undefined && REFUSALS.has(error.row.grpc) && error.name !== 'RUN_ALREADY_EXISTS';

/** A run that certainly did not start, and whether that was an attempt as `sendsMax` counts them. */
interface Refused {
  readonly error: RuneError;
  readonly sent: boolean;
}

/** Why a run found no mediator at all. */
function noMediator(node: string, candidates: readonly MediatorCandidate[]): RuneError {
  const seen = candidates.slice(0, CANDIDATES_SHOWN_MAX);
  const words = seen.map(({ address, trouble }) => `${address}: ${trouble?.words ?? 'tried'}`).join('; ');
  const isFull = candidates.some(({ trouble }) => trouble?.words.startsWith('full') === true);
  const why = words === '' ? 'none is left in its zone' : words;
  return new RuneError(
    isFull ? 'MEDIATOR_FULL' : 'MEDIATOR_UNAVAILABLE',
    `No mediator took the run on ${node}: ${why}.`,
  );
}

/** Mediators that one message names. */
const CANDIDATES_SHOWN_MAX = 5;

/**
 * Performs one run until its outcome, which is not recorded yet: chooses a mediator, records that choice, sends the run, and
 * when the stream breaks finds it again. Never sends it anywhere else without proof that it did not start. Throws NotOwner.
 */
export async function performRun(
  log: RunLog,
  identity: RunIdentity,
  sendable: Sendable | RuneError,
  deps: PerformDeps,
): Promise<Outcome> {
  const { dispatcher, mediators, settings, signal } = deps;
  const outcomes = createOwnOutcomes(log.node, deps.action, identity);

  const follow = (placement: Placement): Promise<Outcome | undefined> =>
    followRun(placement, log, identity, sendable, outcomes, deps);

  /** Sends the run to one mediator and stays with it; an error is proof that it did not start there, as is a locked node. */
  const send = async (
    { plan, run }: Sendable,
    address: string,
    recorded?: Placement,
  ): Promise<Outcome | Refused | 'locked'> => {
    let ending: Ending;
    let placement = recorded;
    try {
      placement ??= await dispatcher.placementAt(address);
      if (!(await deps.place(placement))) return 'locked';
      const at = placement;
      const messages = dispatcher.start(at, plan, run, identity, signal);
      ending = await relayMessages(messages, log, signal, () => deps.onAnswer(at));
    } catch (thrown) {
      const error = RuneError.from(thrown);
      if (thrown instanceof NotOwner || signal.aborted) throw thrown;
      if (error.name === 'NODE_COOLING_DOWN') return outcomes.notStarted(error);
      if (error.name !== 'MEDIATOR_UNAVAILABLE') throw thrown;
      ending = { heard: false, ended: false, error };
    }
    if (!isBreak(ending)) return ending;
    const { error, heard } = ending;
    if (!heard && SPILL.has(error.name)) return { error, sent: false };
    if (!heard && error.name === 'WRONG_INSTANCE') dispatcher.forget(address);
    else if (!heard && isRefusal(error)) return outcomes.notStarted(error);
    else if (placement !== undefined) {
      const outcome = await follow(placement);
      if (outcome !== undefined) return outcome;
    }
    return { error, sent: true };
  };

  let { reserved } = deps;
  if (log.placement !== undefined && reserved === undefined) {
    const end = mediators.begin(log.placement.address);
    const outcome = await follow(log.placement).finally(end);
    if (outcome !== undefined) return outcome;
  }
  if (sendable instanceof RuneError) return outcomes.notStarted(sendable);

  const { node, transport } = sendable.run;
  const tried = new Set<string>();
  let refusal: RuneError | undefined;
  let waitEndsMs: number | undefined;
  for (let sends = 0; ;) {
    const reason = deps.cancelReason();
    if (reason !== undefined) return outcomes.cancelled(reason);
    const lateMs = lateByMs(identity.header.messageMetadata?.expiresAt, Date.now());
    if (lateMs !== undefined) {
      const message = `The request expired ${lateMs} ms ago, before its run could be sent.`;
      return outcomes.notStarted(new RuneError('MESSAGE_EXPIRED', message));
    }
    const first = reserved;
    reserved = undefined;
    const candidates =
      first === undefined ? mediators.candidates(node, transport, identity.dispatchGroup) : [];
    const address = first?.placement.address ?? chooseMediator(candidates, tried)?.address;
    if (address === undefined) {
      waitEndsMs ??= performance.now() + settings.mediatorWaitMs;
      const mayPass = candidates.some(({ trouble }) => trouble?.passing === true);
      if (!mayPass || performance.now() >= waitEndsMs)
        return outcomes.notStarted(refusal ?? noMediator(node.name, candidates));
      // Those who wait together must not all come back together.
      const pauseMs = settings.mediatorRetryMs * (0.5 + Math.random() / 2);
      await mediators.change(pauseMs, deps.hurry).catch(() => signal.throwIfAborted());
      tried.clear();
      continue;
    }
    const end = first?.end ?? mediators.begin(address);
    const sent = await send(sendable, address, first?.placement)
      .then((ending) => {
        if (ending !== 'locked' && 'sent' in ending) mediators.refused(address, ending.error);
        return ending;
      })
      .finally(end);
    if (sent === 'locked') {
      const outcome = await deps.waitForLock().catch((thrown: unknown) => {
        const error = RuneError.from(thrown);
        if (thrown instanceof NotOwner || signal.aborted || !KEEPS_OUT.has(error.name)) throw thrown;
        return outcomes.notStarted(error);
      });
      if (outcome !== undefined) return outcome;
      continue;
    }
    if (!('sent' in sent)) return sent;
    refusal = sent.error;
    if (!sent.sent) tried.add(address);
    else if ((sends += 1) >= settings.sendsMax) return outcomes.notStarted(refusal);
  }
}
