import { ERRORS } from '../../services/shared/errors.js';
import { isErrorName } from '../../services/shared/messages/eps.js';
import { RunState, StopReason, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import type { Trace } from './trace.js';

/** How the plugin was told to end. */
export type Ending = 'ok' | 'fail' | 'crash';

/** What was asked of a run. */
export interface Asked {
  readonly ending: Ending;
  readonly timeoutMs: number;
  /** Its time is shorter than what it was told to take. */
  readonly outlivesTimeout: boolean;
  /** Somebody asked for its cancel. */
  readonly cancelled: boolean;
  /** It may run only while no other such run is on its node. */
  readonly locks: boolean;
  /** Nothing can run on the node. */
  readonly cannotStart: boolean;
}

/** What is known about a run besides what the system says. */
export interface Evidence {
  readonly asked: Asked;
  /** What the plugin itself wrote on the node. */
  readonly trace: Trace;
  readonly hits: Hits;
  /** Another run had the lock of its node, or may have had it. */
  readonly contended: boolean;
  /** From the request to the outcome. */
  readonly tookMs: number;
}

/** What the world did to a run while it lasted. */
export interface Hits {
  /** The link to its node was touched, or a process on the node that the link or the supervision needs. */
  readonly link: boolean;
  /** A process of the plugin itself was killed or stopped. */
  readonly plugin: boolean;
  /** A byte on the link was changed, as somebody does who stands in between. */
  readonly bytes: boolean;
  /** The process of its mediator was killed or stopped. */
  readonly mediator: boolean;
  /** A connection from an orchestrator to its mediator was touched. */
  readonly way: boolean;
}

/** Errors that a hit link explains, and that say that nothing ran. */
const NOT_REACHED = new Set([
  'NODE_SETUP_FAILED',
  'NODE_UNREACHABLE',
  'NODE_CONNECT_TIMEOUT',
  'NODE_HANDSHAKE_FAILED',
  'NODE_CHANNEL_REFUSED',
  'MEDIATOR_FULL',
]);

/** Errors that a mediator explains that was away when the run was to start, or could not be reached. */
const NOT_TAKEN = new Set(['MEDIATOR_UNAVAILABLE', 'SERVICE_UNREACHABLE', 'WRONG_INSTANCE']);

/**
 * What is not true about an outcome: undefined if all is. What was done to the run must explain what it does not
 * explain by itself.
 */
export function judge(
  outcome: Outcome,
  { asked, trace, hits, contended, tookMs }: Evidence,
): string | undefined {
  const { starts, ends } = trace;
  const name = outcome.error?.errorData?.name ?? '';
  if (starts > 1) return `it started ${starts} times`;
  if (starts > 0 && asked.cannotStart) return 'it ran where nothing can run';
  if (ends.length > starts) return 'it ended without a start';
  const began = outcome.startedAt !== undefined;
  const nothingRan = !began && outcome.state !== RunState.LOST;
  if (nothingRan && starts > 0) return `it ran, and its outcome says that nothing ran (${name})`;
  const touched = hits.link || hits.plugin || hits.mediator;

  switch (outcome.state) {
    case RunState.SUCCEEDED:
      return expectEnd('ok', trace);
    case RunState.FAILED:
      if (name === 'NODE_LOCKED' && nothingRan) return contended ? undefined : 'nobody else had its node';
      return judgeFailure(name, asked, trace, { nothingRan, ...hits });
    case RunState.TIMED_OUT:
      if (tookMs < asked.timeoutMs) return 'its time was not over';
      return asked.outlivesTimeout || touched ? undefined : 'it had time enough, and nothing held it up';
    case RunState.CANCELLED:
      if (outcome.stopReason !== StopReason.CANCEL) return `it was stopped by ${outcome.stopReason}`;
      return asked.cancelled ? undefined : 'nobody cancelled it';
    case RunState.LOST:
      if (name !== 'OUTCOME_UNKNOWN') return `it is lost with the error ${name}`;
      if (outcome.stoppedOnNodeBy === undefined) return 'it is lost, and nothing says until when it may run';
      // A plugin that is killed never takes its supervisor with it.
      return hits.link || hits.mediator
        ? undefined
        : 'it is lost, and nothing touched its link or its mediator';
    default:
      return `${outcome.state} is no final state of a run here`;
  }
}

function judgeFailure(
  name: string,
  asked: Asked,
  trace: Trace,
  hits: Hits & { readonly nothingRan: boolean },
): string | undefined {
  const { nothingRan, plugin, bytes, mediator, way } = hits;
  // A mediator that stands still or ends takes its links with it.
  const link = hits.link || mediator;
  if (!isErrorName(name)) return `it failed with the error "${name}"`;
  if (nothingRan) {
    if (name === 'HOST_KEY_CHANGED') return bytes ? undefined : 'nobody changed its host key';
    if (NOT_TAKEN.has(name))
      return mediator || way ? undefined : `no mediator took it (${name}), and nothing touched any`;
    if (!NOT_REACHED.has(name)) return `nothing ran, with the error ${name} (${ERRORS[name].exit})`;
    if (name === 'NODE_SETUP_FAILED' && asked.cannotStart) return undefined;
    return link ? undefined : `it was not reached (${name}), and nothing touched its link`;
  }
  switch (name) {
    case 'PLUGIN_FAILED':
      return asked.ending === 'fail' ? expectEnd('fail', trace) : 'it was not told to fail';
    case 'PLUGIN_CRASHED':
      if (plugin) return undefined;
      return asked.ending === 'crash' ? expectEnd('crash', trace) : 'it was not told to crash';
    case 'PLUGIN_KILLED':
      return plugin ? undefined : 'nothing killed it';
    case 'LINK_LOST':
      return link ? undefined : 'its node ended it, and nothing touched its link';
    default:
      return `it failed with the error ${name}`;
  }
}

function expectEnd(ending: Ending, { starts, ends }: Trace): string | undefined {
  if (starts === 1 && ends.length === 1 && ends[0] === ending) return undefined;
  return `the node has ${starts} starts and the ends [${ends.join()}] of it, not one of each with "${ending}"`;
}
