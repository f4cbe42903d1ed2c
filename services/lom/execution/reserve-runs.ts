import { dispatchGroupOf } from '../dispatch/dispatch-group.js';
import type { Dispatcher } from '../dispatch/dispatch.js';
import type { Placement } from '../dispatch/placement.js';
import { chooseMediator, type Mediators } from '../mediators/mediators.js';
import { lockOf, sendableOf, type Intent } from '../plan/intent.js';
import { RuneError } from '../../shared/errors.js';
import { batchesOf } from '../plan/rollout.js';
import type { FirstPlacement, LockRequest, NewRun, RunRecord } from '../store/store.js';
import type { FairSlots } from './fair-slots.js';

/** What a run holds whose way is clear before its execution is recorded: both are recorded together, and then it is sent. */
export interface Reservation {
  readonly placement: Placement;
  /** What it needs to have besides. */
  readonly lock: LockRequest | undefined;
  /** Gives back its place among the runs of this process. */
  readonly giveBack: () => void;
  /** It is not at the mediator any more, or never gets there. */
  readonly end: () => void;
}

/** The runs of an execution that is about to be recorded, and what they hold. */
export interface ReservedRuns {
  /** As they are to be recorded. */
  readonly runs: readonly NewRun[];
  /** What the runs at these positions hold is theirs; the rest is given back. The runs as they are recorded then. */
  keep(placed: ReadonlySet<number>): {
    readonly runs: readonly RunRecord[];
    readonly reserved: ReadonlyMap<number, Reservation>;
  };
  /** Gives back what nobody has kept. */
  giveBack(): void;
}

/** What reserving works with. */
export interface ReserveDeps {
  readonly slots: Pick<FairSlots, 'takeFree'>;
  readonly mediators: Pick<Mediators, 'begin' | 'candidates'>;
  readonly dispatcher: Pick<Dispatcher, 'knownPlacement'>;
}

/**
 * Reserves what the first runs of a new execution need: as many as begin at once, and of those the ones for which there is a place and
 * a mediator that has answered before. Waits for nothing.
 */
export function reserveRuns(
  executionId: string,
  runs: readonly RunRecord[],
  intent: Intent,
  { slots, mediators, dispatcher }: ReserveDeps,
): ReservedRuns {
  const { rollout, maxParallel } = intent.plan;
  const held = new Map<number, Reservation>();
  const [batch = []] = batchesOf(runs, rollout);
  for (const run of batch.slice(0, maxParallel)) {
    const sendable = sendableOf(run, intent);
    if (sendable instanceof RuneError) continue;
    const { node, transport } = sendable.run;
    const group = dispatchGroupOf({ id: executionId, runs: runs.length }, run, transport);
    const candidate = chooseMediator(mediators.candidates(node, transport, group));
    const placement = candidate && dispatcher.knownPlacement(candidate.address);
    if (placement === undefined) continue;
    const giveBack = slots.takeFree();
    if (giveBack === undefined) break;
    const end = mediators.begin(placement.address);
    held.set(run.position, { placement, lock: lockOf(run, sendable), giveBack, end });
  }

  const giveBack = (): void => {
    for (const reservation of held.values()) {
      reservation.end();
      reservation.giveBack();
    }
    held.clear();
  };
  const placedMs = Date.now();
  const placementOf = ({ position }: RunRecord): FirstPlacement | undefined => {
    const reservation = held.get(position);
    if (reservation === undefined) return undefined;
    const { placement, lock } = reservation;
    return { mediator: placement.address, lmmInstanceId: placement.instanceId, placedMs, lock };
  };
  const wanted = runs.map((run) => ({ runId: run.runId, node: run.node, placement: placementOf(run) }));

  return {
    runs: wanted,
    keep(placed) {
      const reserved = new Map([...held].filter(([position]) => placed.has(position)));
      for (const position of placed) held.delete(position);
      giveBack();
      const recorded = runs.map((run) => {
        const placement = placed.has(run.position) ? wanted[run.position]?.placement : undefined;
        if (placement === undefined) return run;
        const { mediator, lmmInstanceId } = placement;
        return Object.assign({}, run, { attempt: 1, mediator, lmmInstanceId, placedMs });
      });
      return { runs: recorded, reserved };
    },
    giveBack,
  };
}
