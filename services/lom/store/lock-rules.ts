import { RunState } from '../../shared/gen/rune/v1/run.js';

/** What stands for the places among the runs of an action where other waits name the key of a lock; no lock has such a key. */
export const limitKeyOf = (action: string): string => LIMIT + action;

/** The action whose limit this is; undefined for the key of a lock. */
export const limitedAction = (key: string): string | undefined =>
  key.startsWith(LIMIT) ? key.slice(LIMIT.length) : undefined;

const LIMIT = 'action=';

/** Which rows of action_places (`p`) stand for nothing any more: as with locks, the end of a run is the release of its place. */
export const IS_OVER = (nowMs: string): string => `
((p.until_ms > 0 and p.until_ms <= ${nowMs})
  or (p.until_ms = 0 and exists (
    select 1 from runs r
    where r.execution_id = p.execution_id and r.position = p.position and r.state >= ${RunState.SUCCEEDED})))`;

/**
 * How a row of node_locks that was there already (`l`) becomes the lock of another run: if it is that run's own, or that of a lost
 * run whose time is over, or of a run that has ended. So the end of a run is the release of its lock, in the same transaction and
 * without a further write. A run that cannot be found has not ended: only what is known to be free is taken.
 */
export const TAKES_OVER = (nowMs: string): string => `
on conflict (lock_key) do update set
  execution_id = excluded.execution_id,
  position = excluded.position,
  run_id = excluded.run_id,
  since_ms = case when l.execution_id = excluded.execution_id and l.position = excluded.position then l.since_ms else excluded.since_ms end,
  until_ms = 0
where (l.execution_id = excluded.execution_id and l.position = excluded.position and l.until_ms = 0)
  or (l.until_ms > 0 and l.until_ms <= ${nowMs})
  or (l.until_ms = 0 and exists (
    select 1 from runs r
    where r.execution_id = l.execution_id and r.position = l.position and r.state >= ${RunState.SUCCEEDED}))`;
