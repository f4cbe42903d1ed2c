import type { StopReason } from '../../services/shared/gen/rune/v1/run.js';
import type { NodeEnding, Transport } from '../../services/lmm/transports/transport.js';

const PHASES = { connectMs: 1, startMs: 2, runMs: 3 };

/** An ending of the plugin's own accord. */
export function ended(
  exitCode: number,
  fields: Partial<Extract<NodeEnding, { kind: 'ended' }>> = {},
): NodeEnding {
  return {
    kind: 'ended',
    end: { exitCode },
    stopReason: undefined,
    confirmed: true,
    maySurvive: false,
    leftProcesses: 0,
    phases: PHASES,
    ...fields,
  };
}

/** A link that was lost while the plugin ran. */
export function lost(reason: string): NodeEnding {
  return {
    kind: 'lost',
    reason,
    started: true,
    stopReason: undefined,
    stoppedOnNodeByMs: 5000,
    phases: PHASES,
  };
}

/** Waits for the stop signal and ends as a node does that killed the plugin. */
export function untilStopped(stop: AbortSignal): Promise<NodeEnding> {
  return new Promise((resolve) => {
    stop.addEventListener('abort', () =>
      resolve(ended(143, { end: { signal: 'TERM' }, stopReason: stop.reason as StopReason })),
    );
  });
}

/** What a node does with a run. */
export type NodeScript = Transport['run'];

/** A transport whose node does what a test tells it: for the mediator's own rules, not for transports. */
export function scriptedTransport(name: string, script: NodeScript): Transport {
  return {
    name,
    run: script,
    probe: () => Promise.reject(new Error('not scripted')),
    close: () => Promise.resolve(),
  };
}
