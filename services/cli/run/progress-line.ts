import type { RunState } from '../../shared/gen/rune/v1/run.js';
import { describeCounts } from '../render/describe-counts.js';
import { formatDuration } from '../render/format-duration.js';

/** How far an execution is. */
export interface Progress {
  /** Number of runs; undefined where only some of them are watched. */
  readonly total: number | undefined;
  readonly ended: ReadonlyMap<RunState, number>;
  readonly active: number;
  readonly elapsedMs: number;
  /** Runs that end in a second; undefined if that is not known. */
  readonly perSecond: number | undefined;
}

const perSecondWords = (rate: number) =>
  rate >= 10 ? `${Math.round(rate)} a second` : rate >= 0.1 ? `${rate.toFixed(1)} a second` : '';

/** One line: "1200 of 10000 done (1190 succeeded, 10 failed), 100 running, 8700 waiting, 41 a second, about 3 min left, 29 s". */
export function progressLine({ total, ended, active, elapsedMs, perSecond = 0 }: Progress): string {
  const done = [...ended.values()].reduce((sum, count) => sum + count, 0);
  const open = total === undefined ? 0 : Math.max(0, total - done);
  const waiting = Math.max(0, open - active);
  const counts = done === 0 ? '' : ` (${describeCounts(ended).join(', ')})`;
  const leftMs = perSecond > 0 ? (open / perSecond) * 1000 : 0;
  return [
    `${total === undefined ? done : `${done} of ${total}`} done${counts}`,
    active > 0 ? `${active} running` : '',
    waiting > 0 ? `${waiting} waiting` : '',
    perSecondWords(perSecond),
    leftMs >= 1000 ? `about ${formatDuration(leftMs)} left` : '',
    formatDuration(elapsedMs),
  ]
    .filter((part) => part !== '')
    .join(', ');
}
