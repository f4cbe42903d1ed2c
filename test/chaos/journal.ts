import type { Hits } from './judge.js';

/** One thing that was done to the world. */
export interface Deed {
  readonly what: string;
  /** The address of the node it was done to. */
  readonly address: string;
  /** Set if it was done to one run only. */
  readonly runId?: string;
  /** What it may explain; changed bytes are a hit of the link as well. */
  readonly hits: keyof Hits;
  /** Settles when it is over: at once for a kill, with the connection for what stays. */
  readonly over: Promise<unknown>;
}

/** What was done to the world, and when. Times are those of performance.now(). */
export interface Journal {
  add(deed: Deed): void;
  /** What was done to a run between two moments. */
  hitsOf(run: RunSpan): Hits;
  /** Moment at which the last thing that was done to this run was over; Infinity if something goes on. */
  lastOverMs(run: RunSpan): number;
  /** Lines for a person about one node. */
  tell(address: string, fromMs: number, toMs: number): string[];
}

/** Where and when a run was under way. */
export interface RunSpan {
  readonly runId: string;
  readonly address: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Entry extends Deed {
  readonly atMs: number;
  overMs: number;
}

/** How late a service may notice what was over before. */
const NOTICE_MS = 3_000;

/** Starts an empty journal. */
export function createJournal(startMs: number): Journal {
  const byAddress = new Map<string, Entry[]>();
  const of = ({ runId, address, fromMs, toMs }: RunSpan): Entry[] =>
    (byAddress.get(address) ?? []).filter(
      (entry) =>
        (entry.runId === undefined || entry.runId === runId) &&
        entry.atMs <= toMs &&
        entry.overMs + NOTICE_MS >= fromMs,
    );
  return {
    add(deed) {
      const entry: Entry = { ...deed, atMs: performance.now(), overMs: Infinity };
      byAddress.set(deed.address, [...(byAddress.get(deed.address) ?? []), entry]);
      void deed.over.then(() => (entry.overMs = performance.now()));
    },
    hitsOf(run) {
      const entries = of(run);
      return {
        link: entries.some(({ hits }) => hits !== 'plugin'),
        plugin: entries.some(({ hits }) => hits === 'plugin'),
        bytes: entries.some(({ hits }) => hits === 'bytes'),
      };
    },
    lastOverMs: (run) => Math.max(0, ...of(run).map(({ overMs }) => overMs)),
    tell(address, fromMs, toMs) {
      const seconds = (ms: number): string => ((ms - startMs) / 1_000).toFixed(3);
      return (byAddress.get(address) ?? [])
        .filter(({ atMs, overMs }) => atMs <= toMs && overMs >= fromMs)
        .map(
          ({ what, atMs, overMs, runId }) =>
            `${seconds(atMs)} s${overMs === Infinity ? '' : ` to ${seconds(overMs)} s`}: ${what}${runId === undefined ? '' : ` of ${runId}`}`,
        );
    },
  };
}
