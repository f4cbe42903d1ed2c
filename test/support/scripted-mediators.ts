import { fromEps, toEps } from '../../services/shared/messages/eps.js';
import { RuneError } from '../../services/shared/errors.js';
import { MediateResponse } from '../../services/shared/gen/rune/v1/lmm.js';
import { Outcome, RunState } from '../../services/shared/gen/rune/v1/run.js';
import type { Dispatcher } from '../../services/lom/dispatch/dispatch.js';
import { decodeMediated, type MediatedMessage } from '../../services/lom/dispatch/mediated-message.js';
import type { Placement } from '../../services/lom/dispatch/placement.js';
import type { RunIdentity } from '../../services/lom/dispatch/run-identity.js';

/** What a mediator answers to a start or an attach, until it returns or throws. */
export type Script = (
  node: string,
  identity: RunIdentity,
  signal: AbortSignal,
  /** Says that the run is there, before anything else. */
  found?: () => void,
) => AsyncGenerator<Said, void, undefined>;

/** One event of a mediator; its number is given by the order. */
export type Said = NonNullable<MediateResponse['event']>;

export const accepted: Said = { $case: 'accepted', value: {} };
export const running: Said = { $case: 'state', value: RunState.RUNNING };
export const ended = (state: RunState): Said => ({ $case: 'outcome', value: Outcome.fromPartial({ state }) });
export const logged = (text: string): Said => ({
  $case: 'log',
  value: {
    lines: [{ content: { $case: 'text', value: text }, stream: 2, truncated: false, level: 0 }],
    droppedBytes: 0,
  },
});

/** The script of a run that goes well. */
export async function* succeed(): AsyncGenerator<Said, void, undefined> {
  yield accepted;
  yield running;
  yield ended(RunState.SUCCEEDED);
}

/** A refusal as it comes from the mediator itself. */
export function refusal(
  name: 'MEDIATOR_FULL' | 'WRONG_INSTANCE' | 'RUN_NOT_FOUND' | 'STALE_OWNER' | 'FIELD_MISSING',
): RuneError {
  return fromEps(toEps(new RuneError(name, 'The script says so.'), { source: 'lmm' }));
}

/** What the mediators were asked. */
export interface ScriptedMediators extends Dispatcher {
  readonly starts: { readonly node: string; readonly placement: Placement; readonly runId: string }[];
  readonly attaches: { readonly runId: string; readonly afterEvent: number; readonly placement: Placement }[];
  readonly cancels: { readonly runId: string; readonly reason: string }[];
  readonly acknowledged: string[];
}

/** Mediators that answer by script, each at an address with the instance `ADDRESS#1`. */
export function scriptedMediators(scripts: {
  readonly start: Script;
  /** Without one, attaching finds another process. Events continue behind those that the caller has. */
  readonly attach?: Script;
  readonly cancel?: (identity: RunIdentity) => Promise<void>;
  readonly instanceAt?: (address: string) => Promise<string>;
}): ScriptedMediators {
  const starts: ScriptedMediators['starts'] = [];
  const attaches: ScriptedMediators['attaches'] = [];
  const cancels: ScriptedMediators['cancels'] = [];
  const acknowledged: string[] = [];
  const nodes = new Map<string, string>();

  async function* numbered(
    runId: string,
    after: number,
    events: AsyncGenerator<Said, void, undefined>,
  ): AsyncGenerator<MediatedMessage, void, undefined> {
    let eventNo = after;
    for await (const event of events) {
      const message = { ...MediateResponse.create(), runId, eventNo: ++eventNo, at: new Date(), event };
      yield decodeMediated(Buffer.from(MediateResponse.encode(message).finish()));
    }
  }

  return {
    starts,
    attaches,
    cancels,
    acknowledged,
    async placementAt(address) {
      return { address, instanceId: (await scripts.instanceAt?.(address)) ?? `${address}#1` };
    },
    // One that is scripted has to be asked.
    knownPlacement: (address) =>
      scripts.instanceAt === undefined ? { address, instanceId: `${address}#1` } : undefined,
    forget: () => undefined,
    start(placement, _plan, run, identity, signal) {
      nodes.set(identity.runId, run.node.name);
      starts.push({ node: run.node.name, placement, runId: identity.runId });
      return numbered(identity.runId, 0, scripts.start(run.node.name, identity, signal));
    },
    async *attach(placement, identity, afterEvent, signal, onFound) {
      attaches.push({ runId: identity.runId, afterEvent, placement });
      if (scripts.attach === undefined) throw refusal('WRONG_INSTANCE');
      const node = nodes.get(identity.runId) ?? '';
      yield* numbered(identity.runId, afterEvent, scripts.attach(node, identity, signal, onFound));
    },
    async cancel(_placement, identity, reason) {
      cancels.push({ runId: identity.runId, reason });
      await scripts.cancel?.(identity);
    },
    acknowledge: (_placement, runId) => void acknowledged.push(runId),
    probe: () => Promise.reject(new Error('not scripted')),
    prune: () => undefined,
    close: () => undefined,
  };
}

/** Resolves once the signal has aborted. */
export function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
