import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { SILENT_METER } from '../../shared/metrics/metric.js';
import type { LomMeter } from '../metrics.js';
import type { ExecutionRecord, Store } from '../store/store.js';

/** Settings of a replica that owns executions. */
export interface OwnershipSettings {
  /** A replica that has been silent for so long has its executions taken over. */
  readonly leaseMs: number;
  /** How often cancels that were asked elsewhere are looked for. */
  readonly cancelPollMs: number;
  /** How often old executions are deleted; those that ended so long ago, and those beyond so many. */
  readonly retentionEveryMs: number;
  readonly retentionKeepMs: number;
  readonly retentionKeepMax: number;
}

/** What owning works with. */
export interface OwnershipDeps {
  readonly store: Store;
  /** This replica; new at each start of the process. */
  readonly owner: string;
  readonly settings: OwnershipSettings;
  /** Whether this replica is at work on an execution of its own, or about to be. */
  readonly performs: (executionId: string) => boolean;
  /** Goes on with an execution that this replica has just become the owner of. */
  readonly resume: (record: ExecutionRecord) => Promise<void>;
  readonly cancel: (executionId: string, reason: string) => void;
  readonly logger: Logger;
  /** Default: nobody counts. */
  readonly meter?: LomMeter;
}

/** The part of a replica that keeps its lease and takes over what others left, or what it dropped itself. */
export interface Ownership {
  /** Looks for cancels soon: something changed. */
  lookForCancels(): void;
  /** Ends the lease, so that others need not wait for its end. */
  stop(): Promise<void>;
}

/** Executions that are taken over, or deleted, at a time. */
const TAKE_OVER_MAX = 100;
const DELETE_MAX = 500;

/** Begins to own: resolves once the lease is held and what others left was taken over. Throws STORE_UNAVAILABLE. */
export async function startOwnership(deps: OwnershipDeps): Promise<Ownership> {
  const { store, owner, settings, performs, resume, cancel, logger, meter = SILENT_METER } = deps;
  const timers = new Set<NodeJS.Timeout>();
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const { signal } = stopping;

  const takeOver = async (): Promise<void> => {
    // Such as one that was made although the store could not say so, or that broke off.
    const idle = (await store.unfinished(owner)).filter((id) => !performs(id));
    let dropped = idle.slice(0, TAKE_OVER_MAX);
    for (let taken = TAKE_OVER_MAX; taken >= TAKE_OVER_MAX && !signal.aborted;) {
      const records = await store.takeOver(owner, TAKE_OVER_MAX, dropped);
      dropped = [];
      taken = records.length;
      meter.count('rune_lom_takeovers_total', {}, taken);
      for (const record of records) {
        logger.info('execution taken over', { execution_id: record.id, epoch: record.epoch });
        await resume(record).catch((thrown: unknown) => {
          const err = RuneError.from(thrown);
          logger.error('an execution cannot be gone on with yet', { execution_id: record.id, err });
        });
      }
    }
  };

  const keepLease = async (): Promise<void> => {
    if (!(await store.renewLease(owner, settings.leaseMs))) {
      meter.count('rune_lom_leases_lost_total', {});
      logger.warn('the lease was over: other replicas may have taken over executions');
    }
    await takeOver();
  };

  const cancelAsked = async (): Promise<void> => {
    for (const { id, reason } of await store.cancelsAsked(owner)) cancel(id, reason);
  };

  const deleteOld = async (): Promise<void> => {
    for (let deleted = DELETE_MAX; deleted === DELETE_MAX && !signal.aborted;)
      deleted = await store.deleteOld(settings.retentionKeepMs, settings.retentionKeepMax, DELETE_MAX);
  };

  /** Does something again and again, with the pause in between. One that fails is tried again next time. */
  const repeat = (what: string, everyMs: number, task: () => Promise<void>): (() => void) => {
    let timer: NodeJS.Timeout | undefined;
    let running = false;
    const again = (afterMs: number): void => {
      if (timer !== undefined) timers.delete(timer);
      clearTimeout(timer);
      if (signal.aborted || running) return;
      timer = setTimeout(() => {
        const performing = perform().finally(() => underWay.delete(performing));
        underWay.add(performing);
      }, afterMs);
      timers.add(timer);
    };
    const perform = async (): Promise<void> => {
      running = true;
      await task().catch((thrown: unknown) => {
        if (!signal.aborted) logger.error(`cannot ${what}`, { err: RuneError.from(thrown) });
      });
      running = false;
      again(everyMs);
    };
    again(everyMs);
    return () => again(0);
  };

  await keepLease();
  repeat('keep the lease', settings.leaseMs / 3, keepLease);
  repeat('delete old executions', settings.retentionEveryMs, deleteOld);
  const lookForCancels = repeat('look for cancels', settings.cancelPollMs, cancelAsked);

  return {
    lookForCancels,
    async stop() {
      stopping.abort();
      for (const timer of timers) clearTimeout(timer);
      // One that renews the lease must not do so after its end.
      await Promise.all(underWay);
      await store.endLease(owner).catch((thrown: unknown) => {
        logger.warn('the lease could not be ended and runs out by itself', { err: RuneError.from(thrown) });
      });
    },
  };
}
