import { createHash } from 'node:crypto';
import type { RuneError } from '../../shared/errors.js';
import type { Node } from '../../shared/gen/rune/v1/run.js';
import { SILENT_METER } from '../../shared/metrics/metric.js';
import type { LomMeter } from '../metrics.js';

/** One LMM process that LOM may dial, as configured. */
export interface MediatorEndpoint {
  /** host:port of one process. */
  readonly address: string;
  /** Nodes of this zone only; empty for nodes without a zone. */
  readonly zone: string;
}

/** Why a mediator gets no run, or only where no other is left. */
export interface MediatorTrouble {
  /** `last`: it is tried after all others. `no`: it is not tried now. */
  readonly use: 'last' | 'no';
  /** It is expected to pass, so that waiting for it makes sense. */
  readonly passing: boolean;
  /** What a person reads, such as "full: 100 of 100 runs". */
  readonly words: string;
}

/** A mediator as it is known at one moment, from the configuration or by its registration. */
export interface KnownMediator extends MediatorEndpoint {
  /** Its name in the registry; empty for one that was only configured. */
  readonly name: string;
  /** Transports that it offers; undefined where it has not said. */
  readonly transports: readonly string[] | undefined;
  /** Runs that it takes at the same time; undefined where it has not said. */
  readonly runsMax: number | undefined;
  /** Runs that it had when it last said so, by anybody's order, and when that was (as `nowMs` counts). */
  readonly runsActive: number;
  readonly saidAtMs: number;
  readonly trouble: MediatorTrouble | undefined;
}

/** A mediator as one that may get a run: the trouble is that of this moment. */
export interface MediatorCandidate extends MediatorEndpoint {
  readonly name: string;
  readonly trouble: MediatorTrouble | undefined;
}

/** The mediators, and what sending runs to them has taught. */
export interface Mediators {
  /**
   * The mediators of the node's zone, the node's own first. Rendezvous hashing: a node always meets the same mediators in the same
   * order, so that its warm connection is used again, and one that joins or leaves moves only its own share. The runs of a dispatch
   * group meet them in one order too, so that they come together.
   */
  candidates(node: Node, transport: string, dispatchGroup?: string): MediatorCandidate[];
  /** Counts a run at the mediator until the function is called. */
  begin(address: string): () => void;
  /** Takes note of why the mediator did not take a run. */
  refused(address: string, error: RuneError): void;
  /** Resolves when a place may have become free somewhere, at the latest after `timeoutMs`; rejects with the signal's reason. */
  change(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** It is known, or has runs of this process. */
  isInUse(address: string): boolean;
  /** So many of those who wait look again: that much room was heard of. */
  room(count: number): void;
  /** What is known of mediators has changed: all who wait look again. */
  updated(): void;
  /** How many wait for a place. */
  readonly waiting: number;
}

/** For so long a mediator that refused a run is not asked again, or asked last; a full one may say itself how long. */
const FULL_MS = 1_000;
/** So much longer, at most, is waited than a full one said: those who wait together must not all come back together. */
const JITTER_SHARE = 0.25;
const LEAVING_MS = 2_000;
const UNREACHABLE_MS = 5_000;

interface Learned {
  /** Runs of this process that are there. */
  own: number;
  /** When it last refused, and why; unset for never. */
  refusedMs: number;
  refusal: 'full' | 'leaving' | 'unreachable' | undefined;
  /** With how many runs of this process it was full, and for how long no more than those are sent. */
  limit: number;
  fullMs: number;
  /** What `known` said when the runs of others were last counted, and how many there were. */
  countedAtMs: number;
  others: number;
}

const score = (key: string, address: string): string =>
  createHash('sha256').update(`${key}\n${address}`).digest('hex');

/** The mediators of the configuration, of which nothing else is known. */
export function configuredMediators(endpoints: readonly MediatorEndpoint[]): KnownMediator[] {
  const unknown = { name: '', transports: undefined, runsMax: undefined, runsActive: 0, saidAtMs: 0 };
  return endpoints.map((endpoint) => ({ ...endpoint, ...unknown, trouble: undefined }));
}

/** How what is learned of mediators is used. */
export interface MediatorsOptions {
  /** A mediator that is full is waited for as long as it says, but no longer. */
  readonly fullWaitMsMax: number;
  readonly nowMs: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly meter: LomMeter;
}

const DEFAULT_MEDIATORS_OPTIONS: MediatorsOptions = {
  fullWaitMsMax: 30_000,
  nowMs: () => performance.timeOrigin + performance.now(),
  random: Math.random,
  meter: SILENT_METER,
};

/** Keeps what is learned of the mediators that `known` names at each moment. */
export function createMediators(
  known: () => readonly KnownMediator[],
  options: Partial<MediatorsOptions> = {},
): Mediators {
  const { fullWaitMsMax, nowMs, random, meter } = { ...DEFAULT_MEDIATORS_OPTIONS, ...options };
  const learned = new Map<string, Learned>();
  const waiting = new Set<() => void>();

  const learnedOf = (address: string): Learned => {
    let of = learned.get(address);
    if (of === undefined) {
      of = { own: 0, refusedMs: 0, refusal: undefined, limit: 0, fullMs: 0, countedAtMs: 0, others: 0 };
      learned.set(address, of);
    }
    return of;
  };

  const wake = (count: number): void => {
    for (const look of waiting) {
      if (count <= 0) return;
      count -= 1;
      look();
    }
  };

  /** Those who left the registry and have no run any more need not be remembered. */
  const forget = (): void => {
    const names = new Set(known().map(({ address }) => address));
    for (const [address, { own }] of learned) if (own === 0 && !names.has(address)) learned.delete(address);
  };

  const fullTrouble = (mediator: KnownMediator, of: Learned): MediatorTrouble | undefined => {
    const full = (runs: number, max: number): MediatorTrouble => ({
      use: 'no',
      passing: true,
      words: `full: ${runs} of ${max} runs`,
    });
    if (of.refusal === 'full') {
      // What was learned by a refusal fades: after each pause twice as many runs are tried as fitted before. Until the first one is
      // over, a run goes there only in the place of another one of this process.
      const pauses = Math.floor((nowMs() - of.refusedMs) / of.fullMs);
      const limit = pauses === 0 ? of.limit : Math.max(1, of.limit) * 2 ** Math.min(pauses, 30);
      if (of.own >= limit) return full(mediator.runsMax ?? of.limit, mediator.runsMax ?? of.limit);
    }
    if (mediator.runsMax === undefined) return undefined;
    if (mediator.saidAtMs !== of.countedAtMs) {
      of.countedAtMs = mediator.saidAtMs;
      of.others = Math.max(0, mediator.runsActive - of.own);
    }
    const runs = of.own + of.others;
    return runs >= mediator.runsMax ? full(runs, mediator.runsMax) : undefined;
  };

  const troubleOf = (mediator: KnownMediator, transport: string): MediatorTrouble | undefined => {
    if (mediator.transports?.includes(transport) === false)
      return { use: 'no', passing: false, words: `does not offer ${transport}` };
    if (mediator.trouble !== undefined) return mediator.trouble;
    const of = learnedOf(mediator.address);
    const sinceMs = nowMs() - of.refusedMs;
    // A word of its own that is newer than the refusal counts for more.
    const isOld = mediator.saidAtMs > of.refusedMs;
    if (of.refusal === 'leaving' && sinceMs < LEAVING_MS && !isOld)
      return { use: 'no', passing: true, words: 'is shutting down' };
    if (of.refusal === 'unreachable' && sinceMs < UNREACHABLE_MS && !isOld)
      return { use: 'last', passing: mediator.name !== '', words: 'could not be reached just now' };
    return fullTrouble(mediator, of);
  };

  return {
    candidates(node, transport, dispatchGroup = '') {
      const key = dispatchGroup || node.name;
      const near = known().filter((mediator) => mediator.zone === node.zone);
      const ranked =
        near.length < 2
          ? near
          : near
              .map((mediator) => ({ mediator, score: score(key, mediator.address) }))
              .toSorted((a, b) => (a.score < b.score ? -1 : 1))
              .map(({ mediator }) => mediator);
      return ranked.map((mediator) => ({
        address: mediator.address,
        zone: mediator.zone,
        name: mediator.name,
        trouble: troubleOf(mediator, transport),
      }));
    },

    begin(address) {
      const of = learnedOf(address);
      of.own += 1;
      let open = true;
      return () => {
        if (!open) return;
        open = false;
        of.own -= 1;
        wake(1);
      };
    },

    refused(address, error) {
      meter.count('rune_lom_dispatch_refusals_total', { error: error.name });
      const of = learnedOf(address);
      if (error.name === 'MEDIATOR_FULL') {
        of.refusal = 'full';
        // The run that was refused is counted still.
        of.limit = Math.max(0, of.own - 1);
        const saidMs = Math.min(Math.max(error.retryAfterMs ?? 0, FULL_MS), fullWaitMsMax);
        of.fullMs = saidMs * (1 + random() * JITTER_SHARE);
      } else if (error.name === 'SERVICE_SHUTTING_DOWN') of.refusal = 'leaving';
      else if (error.name === 'MEDIATOR_UNAVAILABLE') of.refusal = 'unreachable';
      else return;
      of.refusedMs = nowMs();
    },

    change: (timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const end = (settle: () => void) => (): void => {
          clearTimeout(timer);
          waiting.delete(look);
          signal.removeEventListener('abort', onAbort);
          settle();
        };
        const look = end(resolve);
        const onAbort = end(() => reject(signal.reason));
        const timer = setTimeout(look, timeoutMs);
        waiting.add(look);
        signal.addEventListener('abort', onAbort, { once: true });
      }),

    isInUse: (address) =>
      (learned.get(address)?.own ?? 0) > 0 || known().some((mediator) => mediator.address === address),

    room: wake,

    updated() {
      forget();
      wake(waiting.size);
    },

    get waiting() {
      return waiting.size;
    },
  };
}

/** The candidate that a run goes to next: the first without trouble, else the first of those that are tried last. */
export function chooseMediator(
  candidates: readonly MediatorCandidate[],
  tried: ReadonlySet<string> = new Set(),
): MediatorCandidate | undefined {
  const left = candidates.filter(({ address }) => !tried.has(address));
  return (
    left.find(({ trouble }) => trouble === undefined) ?? left.find(({ trouble }) => trouble?.use === 'last')
  );
}
