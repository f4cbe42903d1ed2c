import { setTimeout as delay } from 'node:timers/promises';
import { RuneError } from '../../shared/errors.js';
import type { Outcome } from '../../shared/gen/rune/v1/run.js';
import type { Dispatcher } from '../dispatch/dispatch.js';
import type { Placement } from '../dispatch/placement.js';
import type { RunIdentity } from '../dispatch/run-identity.js';
import { chooseMediator, type Mediators } from '../mediators/mediators.js';
import type { Sendable } from '../plan/intent.js';
import type { OwnOutcomes } from './own-outcomes.js';
import { isBreak, relayMessages } from './relay-messages.js';
import type { RunLog } from './run-log.js';

/** How long a run that was sent is looked for. */
export interface FollowSettings {
  /** After this long without a mediator, nothing of the run is left on its node, and it is given up as lost. */
  readonly lostAfterMs: number;
  /** Pauses between attempts to find a run again: the first, and the longest. */
  readonly attachRetryMs: number;
  readonly attachRetryMsMax: number;
}

/** What following a run works with. */
export interface FollowDeps {
  readonly dispatcher: Dispatcher;
  readonly mediators: Mediators;
  readonly settings: FollowSettings;
  /** Hears where the run is, each time that a mediator answers for it. */
  readonly onAnswer: (placement: Placement) => void;
  /** Hears that nothing is known of a run that was sent, each time that its mediator was asked in vain. */
  readonly onBreak: (placement: Placement, error: RuneError, awayMs: number) => void;
  /** Aborts when this process is to leave the run alone. */
  readonly signal: AbortSignal;
}

/** The mediator that had the run cannot say what became of it. */
const GONE = new Set(['WRONG_INSTANCE', 'RUN_RECORD_GONE', 'RUN_NOT_FOUND']);

/** Another mediator can find a run on its node over these transports: it does not end with its mediator. */
const ADOPTABLE = new Set(['ssm']);

const isAdoptable = (sendable: Sendable | RuneError): sendable is Sendable =>
  !(sendable instanceof RuneError) && ADOPTABLE.has(sendable.run.transport);

/** What a command may be under way to its node, and wait there for others, whatever the settings of its mediator. */
const UNDER_WAY_MS = 1_800_000;

/** How much longer than others a run goes on that does not end with its mediator. */
const aloneMs = (sendable: Sendable | RuneError): number =>
  isAdoptable(sendable) ? UNDER_WAY_MS + sendable.plan.timeoutMs + sendable.plan.killGraceMs : 0;

/**
 * Finds a run that was sent, as often as the stream of its mediator breaks, until its outcome, which is not recorded yet; undefined
 * on proof that it did not start. Throws NotOwner.
 */
export async function followRun(
  placement: Placement,
  log: RunLog,
  identity: RunIdentity,
  sendable: Sendable | RuneError,
  outcomes: OwnOutcomes,
  deps: FollowDeps,
): Promise<Outcome | undefined> {
  const { dispatcher, settings, onAnswer, onBreak, signal } = deps;

  const lost = (error: RuneError, sinceMs: number): Outcome => {
    const leftMs = settings.lostAfterMs + aloneMs(sendable) - (performance.now() - sinceMs);
    return outcomes.lost(error, new Date(Date.now() + leftMs));
  };

  // By a clock that nobody sets.
  let brokenMs = performance.now() - log.awayMs;
  let pauseMs = settings.attachRetryMs;
  for (;;) {
    onAnswer(placement);
    let found = false;
    const onFound = (): void => {
      found = true;
      log.found();
    };
    const messages = dispatcher.attach(placement, identity, log.mediatorEvent, signal, onFound);
    const ending = await relayMessages(messages, log, signal, () => onAnswer(placement));
    if (!isBreak(ending)) return ending;
    const { error, ended } = ending;
    // A stream without anything is that of a silent run until it breaks; one that ends so has nothing to tell, now and later.
    const heard = ending.heard || (found && !ended);
    if (error.name === 'RUN_NOT_FOUND' && log.mediatorEvent === 0) return undefined;
    if (heard) {
      brokenMs = performance.now();
      pauseMs = settings.attachRetryMs;
    }
    const awayMs = performance.now() - brokenMs;
    onBreak(placement, error, awayMs);
    const isGone = GONE.has(error.name);
    if (isAdoptable(sendable) && (isGone || awayMs >= settings.attachRetryMsMax)) {
      const outcome = await adoptRun(log, identity, sendable, outcomes, deps);
      if (outcome !== undefined) return outcome;
    }
    if (isGone && !isAdoptable(sendable)) return lost(error, brokenMs);
    if (!heard && awayMs >= settings.lostAfterMs) return lost(error, brokenMs);
    await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal });
    pauseMs = Math.min(pauseMs * 2, settings.attachRetryMsMax);
  }
}

/**
 * Lets another mediator go on with a run whose own is gone. That mediator is recorded once it has answered: until then it may not have
 * taken the run. Undefined if none did.
 */
async function adoptRun(
  log: RunLog,
  identity: RunIdentity,
  sendable: Sendable,
  outcomes: OwnOutcomes,
  deps: FollowDeps,
): Promise<Outcome | undefined> {
  const { dispatcher, mediators, onAnswer, signal } = deps;
  const { plan, run } = sendable;
  const candidates = mediators.candidates(run.node, run.transport, identity.dispatchGroup);
  const candidate = chooseMediator(candidates, new Set());
  if (candidate === undefined) return undefined;
  const { address } = candidate;
  const end = mediators.begin(address);
  try {
    const placement = await dispatcher.placementAt(address);
    const messages = dispatcher.start(placement, plan, run, identity, signal, 'adopt');
    const ending = await relayMessages(messages, log, signal, async () => {
      await log.place(placement);
      onAnswer(placement);
    });
    if (!isBreak(ending)) return ending;
    if (ending.heard) return await followRun(placement, log, identity, sendable, outcomes, deps);
    if (ending.error.name === 'WRONG_INSTANCE') dispatcher.forget(address);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof RuneError) || thrown.name !== 'MEDIATOR_UNAVAILABLE') throw thrown;
    return undefined;
  } finally {
    end();
  }
}
