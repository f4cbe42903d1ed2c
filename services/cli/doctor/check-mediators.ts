import { RuneError } from '../../shared/errors.js';
import type { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { toEps } from '../../shared/messages/eps.js';
import type { PlannedRun } from '../../shared/gen/rune/v1/lom.js';
import { escapeText } from '../render/escape-text.js';
import { errorHeadline } from '../render/render-error.js';
import type { Session } from '../with-service.js';
import type { Check } from './check.js';

/** Most actions need no parameters, so one of the first can be planned. */
const ACTIONS_TRIED_MAX = 50;
const NAME = 'mediators';

const warning = (message: string, details: readonly string[] = []): Check => ({
  name: NAME,
  state: 'warn',
  message,
  details,
});

/** The plan of any action over these nodes: it names the mediator of each. Undefined if every action needs parameters. */
async function anyPlan(
  { client, call }: Session,
  actions: readonly string[],
  nodes: readonly string[],
): Promise<readonly PlannedRun[] | undefined> {
  for (const action of actions.slice(0, ACTIONS_TRIED_MAX)) {
    try {
      const request = { action, targets: { nodes: [...nodes] }, acknowledgeRisk: true };
      return (await client.planExecution(request, call)).runs;
    } catch (error) {
      if (!(error instanceof RuneError) || error.name !== 'INVALID_PARAMS') throw error;
    }
  }
  return undefined;
}

/** What went wrong when the node was probed through its mediator, if anything did. */
async function probeError({ client, call }: Session, node: string): Promise<EpsError | undefined> {
  try {
    return (await client.getNode({ name: node, probe: true }, call)).probe?.error;
  } catch (thrown) {
    const error = RuneError.from(thrown);
    if (error.name === 'CALL_CANCELLED') throw error;
    return toEps(error, { source: 'rune' });
  }
}

async function checkMediator(session: Session, { mediator, node }: PlannedRun): Promise<Check> {
  const name = escapeText(`mediator ${mediator}`);
  const error = await probeError(session, node);
  if (error === undefined) return { name, state: 'ok', message: 'answers', details: [] };
  const message = errorHeadline(error);
  if (error.errorData?.name === 'MEDIATOR_UNAVAILABLE') {
    const start = escapeText(`Start rune-lmm at ${mediator}, or correct LOM_MEDIATORS.`);
    return { name, state: 'fail', message, details: [start], error };
  }
  const asked = escapeText(`asked for ${node}, which cannot be used now`);
  return { name, state: 'warn', message: asked, details: [message] };
}

/**
 * Whether the mediators answer that runs on these nodes would go through: one node of each is probed, and nothing runs. Throws
 * the service's RuneError where it can plan nothing.
 */
export async function checkMediators(
  session: Session,
  actions: readonly string[],
  nodes: readonly string[],
): Promise<Check[]> {
  if (nodes.length === 0 || actions.length === 0) {
    return [warning('not tried: that needs an action, and a node that is not in maintenance')];
  }
  const runs = await anyPlan(session, actions, nodes);
  if (runs === undefined) return [warning('not tried: every action needs parameters')];
  const first = new Map<string, PlannedRun>();
  for (const run of runs) if (!first.has(run.mediator)) first.set(run.mediator, run);
  if (first.size === 0) return [warning('not tried: the service plans no run on these nodes')];
  return Promise.all([...first.values()].map((run) => checkMediator(session, run)));
}
