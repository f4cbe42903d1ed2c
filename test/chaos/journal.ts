import type { Hits } from './judge.js';

/** One thing that was done to the world. */
export interface Deed {
  readonly what: string;
  /** A node with the links to it, an orchestrator, a mediator, a way between those, or the database. */
  readonly on: 'node' | 'lom' | 'lmm' | 'way' | 'database';
  /** The address of what it was done to; of a way, that of its mediator. */
  readonly address: string;
  /** Set if it was done to one run only. */
  readonly runId?: string;
  /** What it may explain; changed bytes are a hit of the link as well. What is done to an orchestrator explains nothing. */
  readonly hits: keyof Hits | 'nothing';
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
  /** Lines for a person about what was done at some addresses. */
  tell(addresses: readonly string[], fromMs: number, toMs: number): string[];
  /** How many things were done to what. */
  readonly counts: Readonly<Record<Deed['on'], number>>;
}

/** Where and when a run was under way. */
export interface RunSpan {
  readonly runId: string;
  readonly address: string;
  /** Address of the mediator that had it last; empty while none had it. */
  readonly mediator: string;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Entry extends Deed {
  readonly atMs: number;
  overMs: number;
}

/** How late a service may notice what was over before. */
const NOTICE_MS = 3_000;

/** Starts an empty journal. A run that no mediator had is one of all `mediators`. */
export function createJournal(startMs: number, mediators: readonly string[]): Journal {
  const byAddress = new Map<string, Entry[]>();
  const counts = { node: 0, lom: 0, lmm: 0, way: 0, database: 0 };
  const placesOf = ({ address, mediator }: Pick<RunSpan, 'address' | 'mediator'>): Entry[] =>
    [address, ...(mediator === '' ? mediators : [mediator])].flatMap((each) => byAddress.get(each) ?? []);
  const of = ({ runId, address, mediator, fromMs, toMs }: RunSpan): Entry[] =>
    placesOf({ address, mediator }).filter(
      (entry) =>
        (entry.runId === undefined || entry.runId === runId) &&
        entry.atMs <= toMs &&
        entry.overMs + NOTICE_MS >= fromMs,
    );
  return {
    add(deed) {
      counts[deed.on] += 1;
      const entry: Entry = { ...deed, atMs: performance.now(), overMs: Infinity };
      byAddress.set(deed.address, [...(byAddress.get(deed.address) ?? []), entry]);
      void deed.over.then(() => (entry.overMs = performance.now()));
    },
    hitsOf(run) {
      const entries = of(run);
      return {
        link: entries.some(({ hits }) => hits === 'link' || hits === 'bytes'),
        plugin: entries.some(({ hits }) => hits === 'plugin'),
        bytes: entries.some(({ hits }) => hits === 'bytes'),
        mediator: entries.some(({ hits }) => hits === 'mediator'),
        way: entries.some(({ hits }) => hits === 'way'),
      };
    },
    lastOverMs: (run) => Math.max(0, ...of(run).map(({ overMs }) => overMs)),
    tell(addresses, fromMs, toMs) {
      const seconds = (ms: number): string => ((ms - startMs) / 1_000).toFixed(3);
      return addresses
        .flatMap((address) => byAddress.get(address) ?? [])
        .filter(({ atMs, overMs }) => atMs <= toMs && overMs >= fromMs)
        .toSorted((a, b) => a.atMs - b.atMs)
        .map(
          ({ what, atMs, overMs, runId }) =>
            `${seconds(atMs)} s${overMs === Infinity ? '' : ` to ${seconds(overMs)} s`}: ${what}${runId === undefined ? '' : ` of ${runId}`}`,
        );
    },
    counts,
  };
}
