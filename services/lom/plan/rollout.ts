import { RuneError } from '../../shared/errors.js';
import type { Rollout } from '../../shared/gen/rune/v1/lom.js';

/** How the runs of an execution follow one another. */
export interface RolloutPlan {
  /** The first run is a batch of its own, and its failure holds back the rest. */
  readonly canary: boolean;
  /** Runs of one batch; a batch starts when the one before has ended. */
  readonly batchSize: number;
  /** So many failures hold back what has not started. */
  readonly failuresMax: number;
}

const SHARE = /^([1-9]\d{0,8})(%?)$/;

/** "10" or "25%" of so many runs, at least 1, percents rounded up. */
function share(field: string, text: string, runs: number): number {
  const [, digits, percent] = SHARE.exec(text) ?? [];
  const amount = Number(digits);
  if (digits === undefined || (percent === '%' && amount > 100)) {
    throw new RuneError('FIELD_MALFORMED', 'The rollout is not written as a count or a percent.', {
      field: `rollout.${field}`,
      originalValue: text.slice(0, 32),
      expectedFormat: 'a count such as 10, or 1% to 100%',
    });
  }
  return percent === '%' ? Math.max(1, Math.ceil((runs * amount) / 100)) : amount;
}

/** What a rollout means for so many runs. Throws FIELD_MALFORMED. */
export function planRollout(rollout: Rollout | undefined, runs: number): RolloutPlan {
  const { batchSize = '', maxFailures = '', canary = false } = rollout ?? {};
  return {
    canary,
    batchSize: batchSize === '' ? Math.max(1, runs) : share('batch_size', batchSize, runs),
    failuresMax: maxFailures === '' ? Infinity : share('max_failures', maxFailures, runs),
  };
}

/** The items in their batches. */
export function batchesOf<T>(items: readonly T[], { canary, batchSize }: RolloutPlan): readonly T[][] {
  const batches = canary && items.length > 0 ? [items.slice(0, 1)] : [];
  for (let start = batches.length; start < items.length; start += batchSize)
    batches.push(items.slice(start, start + batchSize));
  return batches;
}
