import { RuneError } from '../../shared/errors.js';
import type { SubmitExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { isFinalRun } from '../../shared/messages/is-final.js';
import type { Action } from '../../shared/bundle/action.js';
import type { Intent } from './intent.js';
import { makePlan, type PlanSources } from './plan.js';
import { requireSecrets } from './recorded-params.js';
import { planRollout } from './rollout.js';
import type { ExecutionRecord, RunRecord } from '../store/store.js';

/** What runs that were accepted earlier are planned from. */
export interface ReplanSources extends PlanSources {
  /** Exactly this version of an action, also if another one has taken its place. */
  recall(name: string, version: string, digest: string): Action | undefined;
}

/**
 * What sends those runs of a recorded execution that were not sent yet: the same version of the action, to the nodes as the
 * inventory knows them now. An error where nothing can be sent any more, or need be.
 */
export function replan(
  record: ExecutionRecord,
  runs: readonly RunRecord[],
  request: SubmitExecutionRequest,
  sources: ReplanSources,
): Intent | RuneError {
  const { registry, inventory, recall } = sources;
  const nodes = runs
    .filter((run) => !isFinalRun(run.state) && inventory.find(run.node)?.maintenance === false)
    .map((run) => run.node);
  if (nodes.length === 0)
    return new RuneError('NODE_NOT_FOUND', 'No node of the execution is left to run on.');
  const action = `${record.action}@${record.version}`;
  try {
    const recalled = recall(record.action, record.version, record.digest);
    if (recalled === undefined) {
      // Throws if there is none of that version at all.
      registry.get(action);
      return new RuneError(
        'ACTION_NOT_FOUND',
        `${action} is not what it was when the execution was accepted.`,
        {
          action: record.action,
        },
      );
    }
    requireSecrets(request.params ?? {}, recalled);
    const targets = { nodes, groups: [], labels: {}, exclude: [], allowEmpty: true };
    const plan = {
      ...makePlan(
        { ...request, action, targets },
        { ...sources, registry: { ...registry, get: () => recalled } },
      ),
      rollout: planRollout(request.rollout, record.runs),
    };
    return { plan, runs: new Map(plan.runs.map((run) => [run.node.name, run])) };
  } catch (thrown) {
    return RuneError.from(thrown);
  }
}
