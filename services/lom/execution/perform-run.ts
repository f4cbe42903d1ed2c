import { setTimeout as delay } from 'node:timers/promises';
import { cancelWords } from '../../shared/messages/cancel-words.js';
import { toEps } from '../../shared/messages/eps.js';
import { RuneError } from '../../shared/errors.js';
import type { MediateResponse } from '../../shared/gen/rune/v1/lmm.js';
import { lateByMs } from '../../shared/messages/header.js';
import { Outcome, RunState, StopReason } from '../../shared/gen/rune/v1/run.js';
import type { Dispatcher, Placement, RunIdentity } from '../dispatch/dispatch.js';
import { chooseMediator, type MediatorCandidate, type Mediators } from '../dispatch/mediators.js';
import { NotOwner } from './recorder.js';
import type { Plan, PlannedRun } from '../plan/plan.js';
import type { RunLog } from './run-log.js';

/** How long a run is looked for, and how it is started again where that is safe. */
export interface PerformSettings {
  /** After this long without a mediator, nothing of the run is left on its node, and it is given up as lost. */
  readonly lostAfterMs: number;
  /** Pauses between attempts to find a run again: the first, and the longest. */
  readonly attachRetryMs: number;
  readonly attachRetryMsMax: number;
  /** Times that a run is sent before it is given up, each only after proof that it did not start. */
  readonly sendsMax: number;
  /** How long a run waits for a mediator with room, and the longest pause between looking for one. */
  readonly mediatorWaitMs: number;
  readonly mediatorRetryMs: number;
}

/** What performing a run works with. */
export interface PerformDeps {
  readonly dispatcher: Dispatcher;
  readonly mediators: Mediators;
  readonly settings: PerformSettings;
  /** Name of the action. */
  readonly action: string;
  /** Why the execution is to stop; undefined while it is not. */
  readonly cancelReason: () => string | undefined;
  /** Hears where the run is, each time that a mediator answers for it. */
  readonly onAnswer: (placement: Placement) => void;
  /**
   * Records where the run is about to be sent; false if others have what it needs, and nothing is recorded. Throws NODE_COOLING_DOWN
   * for a run that is not to be sent.
   */
  readonly place: (placement: Placement) => Promise<boolean>;
  /**
   * Waits until the run may ask for that again, and resolves with the outcome of a run that is not to start any more. Throws
   * NODE_LOCKED or ACTION_LIMIT_REACHED when it has waited long enough.
   */
  readonly waitForLock: () => Promise<Outcome | undefined>;
  /** Hears that nothing is known of a run that was sent, each time that its mediator was asked in vain. */
  readonly onBreak: (placement: Placement, error: RuneError, awayMs: number) => void;
  /** Aborts when this process is to leave the run alone. */
  readonly signal: AbortSignal;
  /** Aborts then too, and when the execution is to stop: nobody waits for a mediator any more. */
  readonly hurry: AbortSignal;
}

/** What a run needs to be sent somewhere; undefined for one that was sent already and cannot be sent again. */
export interface Sendable {
  readonly plan: Plan;
  readonly run: PlannedRun;
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

/** The mediator that had the run cannot say what became of it. */
const GONE = new Set(['WRONG_INSTANCE', 'RUN_RECORD_GONE', 'RUN_NOT_FOUND']);

/** Statuses with which a mediator refuses what it will not start; with any other one it may have started it. */
const REFUSALS = new Set(['INVALID_ARGUMENT', 'FAILED_PRECONDITION', 'NOT_FOUND', 'RESOURCE_EXHAUSTED']);

const isRefusal = (error: RuneError): boolean =>
  error.eps !== undefined && REFUSALS.has(error.row.grpc) && error.name !== 'RUN_ALREADY_EXISTS';

/** How a stream of messages ended without an outcome. */
interface Break {
  readonly error: RuneError;
  /** It had brought at least one message. */
  readonly heard: boolean;
  /** It ended as if nothing were to follow. */
  readonly ended: boolean;
}

type Ending = Outcome | Break;

/** Whether another mediator can find the run on its node: over these transports it does not end with its mediator. */
const isAdoptable = (sendable: Sendable | RuneError): sendable is Sendable =>
  !(sendable instanceof RuneError) && ADOPTABLE.has(sendable.run.transport);

const ADOPTABLE = new Set(['ssm']);

/** What a command may be under way to its node, and wait there for others, whatever the settings of its mediator. */
const UNDER_WAY_MS = 1_800_000;

/** How much longer than others a run goes on that does not end with its mediator. */
const aloneMs = (sendable: Sendable | RuneError): number =>
  isAdoptable(sendable) ? UNDER_WAY_MS + sendable.plan.timeoutMs + sendable.plan.killGraceMs : 0;

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

const isBreak = (ending: Ending): ending is Break => 'heard' in ending;

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

  const describe = (error: RuneError): Outcome['error'] =>
    toEps(error, {
      source: 'lom',
      header: identity.header,
      facts: {
        node: log.node,
        action: deps.action,
        executionId: identity.executionId,
        runId: identity.runId,
        attempt: identity.attempt,
        ...error.facts,
      },
    });

  const notStarted = (error: RuneError): Outcome =>
    Outcome.fromPartial({ state: RunState.FAILED, endedAt: new Date(), error: describe(error) });

  const cancelled = (reason: string): Outcome =>
    Outcome.fromPartial({
      state: RunState.CANCELLED,
      stopReason: StopReason.CANCEL,
      cancelConfirmed: true,
      endedAt: new Date(),
      error: describe(
        new RuneError('RUN_CANCELLED', `The run was cancelled before it started${cancelWords(reason)}.`),
      ),
    });

  const lost = (error: RuneError, sinceMs: number): Outcome =>
    Outcome.fromPartial({
      state: RunState.LOST,
      maySurvive: true,
      endedAt: new Date(),
      stoppedOnNodeBy: new Date(
        Date.now() + settings.lostAfterMs + aloneMs(sendable) - (performance.now() - sinceMs),
      ),
      error: describe(
        new RuneError('OUTCOME_UNKNOWN', `The mediator was lost while it had the run: ${error.message}`),
      ),
    });

  const listen = async (
    placement: Placement,
    messages: AsyncGenerator<MediateResponse, void, undefined>,
    onFirst?: () => Promise<unknown>,
  ): Promise<Ending> => {
    let heard = false;
    try {
      for await (const message of messages) {
        if (!heard) {
          await onFirst?.();
          deps.onAnswer(placement);
        }
        heard = true;
        const outcome = await log.relay(message);
        if (outcome !== undefined) return outcome;
      }
      return { heard, ended: true, error: new RuneError('INTERNAL', 'its stream ended early.') };
    } catch (thrown) {
      if (thrown instanceof NotOwner || signal.aborted) throw thrown;
      const error = RuneError.from(thrown);
      if (error.name === 'STALE_OWNER') throw new NotOwner(error.message);
      return { heard, ended: false, error };
    }
  };

  /**
   * Lets another mediator go on with a run whose own is gone, where its transport can find it. That mediator is recorded once it has
   * answered: until then it may not have taken the run. Undefined if none did.
   */
  const adopt = async (): Promise<Outcome | undefined> => {
    if (!isAdoptable(sendable)) return undefined;
    const { plan, run } = sendable;
    const candidate = chooseMediator(
      mediators.candidates(run.node, run.transport, identity.dispatchGroup),
      new Set(),
    );
    if (candidate === undefined) return undefined;
    const { address } = candidate;
    const end = mediators.begin(address);
    try {
      const placement = await dispatcher.placementAt(address);
      const ending = await listen(
        placement,
        dispatcher.start(placement, plan, run, identity, signal, 'adopt'),
        () => log.place(placement),
      );
      if (!isBreak(ending)) return ending;
      if (ending.heard) return await follow(placement);
      if (ending.error.name === 'WRONG_INSTANCE') dispatcher.forget(address);
      return undefined;
    } catch (thrown) {
      if (!(thrown instanceof RuneError) || thrown.name !== 'MEDIATOR_UNAVAILABLE') throw thrown;
      return undefined;
    } finally {
      end();
    }
  };

  /** Finds a run that was sent; resolves with undefined on proof that it did not start. */
  const follow = async (placement: Placement): Promise<Outcome | undefined> => {
    // By a clock that nobody sets.
    let brokenMs = performance.now() - log.awayMs;
    let pauseMs = settings.attachRetryMs;
    for (;;) {
      deps.onAnswer(placement);
      let found = false;
      const onFound = (): void => {
        found = true;
        log.found();
      };
      const ending = await listen(
        placement,
        dispatcher.attach(placement, identity, log.mediatorEvent, signal, onFound),
      );
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
      deps.onBreak(placement, error, awayMs);
      const isGone = GONE.has(error.name);
      if (isGone || awayMs >= settings.attachRetryMsMax) {
        const outcome = await adopt();
        if (outcome !== undefined) return outcome;
      }
      if (isGone && !isAdoptable(sendable)) return lost(error, brokenMs);
      if (!heard && awayMs >= settings.lostAfterMs) return lost(error, brokenMs);
      await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal });
      pauseMs = Math.min(pauseMs * 2, settings.attachRetryMsMax);
    }
  };

  /** Sends the run to one mediator and stays with it; an error is proof that it did not start there, as is a locked node. */
  const send = async ({ plan, run }: Sendable, address: string): Promise<Outcome | Refused | 'locked'> => {
    let ending: Ending;
    let placement: Placement | undefined;
    try {
      placement = await dispatcher.placementAt(address);
      if (!(await deps.place(placement))) return 'locked';
      ending = await listen(placement, dispatcher.start(placement, plan, run, identity, signal));
    } catch (thrown) {
      const error = RuneError.from(thrown);
      if (thrown instanceof NotOwner || signal.aborted) throw thrown;
      if (error.name === 'NODE_COOLING_DOWN') return notStarted(error);
      if (error.name !== 'MEDIATOR_UNAVAILABLE') throw thrown;
      ending = { heard: false, ended: false, error };
    }
    if (!isBreak(ending)) return ending;
    const { error, heard } = ending;
    if (!heard && SPILL.has(error.name)) return { error, sent: false };
    if (!heard && error.name === 'WRONG_INSTANCE') dispatcher.forget(address);
    else if (!heard && isRefusal(error)) return notStarted(error);
    else if (placement !== undefined) {
      const outcome = await follow(placement);
      if (outcome !== undefined) return outcome;
    }
    return { error, sent: true };
  };

  if (log.placement !== undefined) {
    const end = mediators.begin(log.placement.address);
    const outcome = await follow(log.placement).finally(end);
    if (outcome !== undefined) return outcome;
  }
  if (sendable instanceof RuneError) return notStarted(sendable);

  const { node, transport } = sendable.run;
  const tried = new Set<string>();
  let refusal: RuneError | undefined;
  let waitEndsMs: number | undefined;
  for (let sends = 0; ;) {
    const reason = deps.cancelReason();
    if (reason !== undefined) return cancelled(reason);
    const lateMs = lateByMs(identity.header.messageMetadata?.expiresAt, Date.now());
    if (lateMs !== undefined) {
      const message = `The request expired ${lateMs} ms ago, before its run could be sent.`;
      return notStarted(new RuneError('MESSAGE_EXPIRED', message));
    }
    const candidates = mediators.candidates(node, transport, identity.dispatchGroup);
    const candidate = chooseMediator(candidates, tried);
    if (candidate === undefined) {
      waitEndsMs ??= performance.now() + settings.mediatorWaitMs;
      const mayPass = candidates.some(({ trouble }) => trouble?.passing === true);
      if (!mayPass || performance.now() >= waitEndsMs)
        return notStarted(refusal ?? noMediator(node.name, candidates));
      // Those who wait together must not all come back together.
      const pauseMs = settings.mediatorRetryMs * (0.5 + Math.random() / 2);
      await mediators.change(pauseMs, deps.hurry).catch(() => signal.throwIfAborted());
      tried.clear();
      continue;
    }
    const end = mediators.begin(candidate.address);
    const sent = await send(sendable, candidate.address)
      .then((ending) => {
        if (ending !== 'locked' && 'sent' in ending) mediators.refused(candidate.address, ending.error);
        return ending;
      })
      .finally(end);
    if (sent === 'locked') {
      const outcome = await deps.waitForLock().catch((thrown: unknown) => {
        const error = RuneError.from(thrown);
        if (thrown instanceof NotOwner || signal.aborted || !KEEPS_OUT.has(error.name)) throw thrown;
        return notStarted(error);
      });
      if (outcome !== undefined) return outcome;
      continue;
    }
    if (!('sent' in sent)) return sent;
    refusal = sent.error;
    if (!sent.sent) tried.add(candidate.address);
    else if ((sends += 1) >= settings.sendsMax) return notStarted(refusal);
  }
}
