import { Targets } from '../../shared/gen/rune/v1/lom.js';
import type { Io } from '../io.js';
import { isConfirmed } from '../question.js';
import { escapeText } from '../render/escape-text.js';
import type { Session } from '../with-service.js';
import type { RequestFields } from './build-request.js';

const NODES_NAMED_MAX = 5;

/**
 * Asks whether an action that can destroy data shall run, naming the action and the nodes. Answers the request for exactly the
 * action version and the nodes that were named, or undefined if the answer is not "yes".
 */
export async function confirmRisk(
  io: Io,
  { client, call }: Pick<Session, 'client' | 'call'>,
  request: RequestFields,
): Promise<RequestFields | undefined> {
  const plan = await client.planExecution({ ...request, acknowledgeRisk: true }, call);
  const nodes = plan.runs.map(({ node }) => node);
  const named = nodes.slice(0, NODES_NAMED_MAX).join(', ');
  const more = nodes.length > NODES_NAMED_MAX ? ` and ${nodes.length - NODES_NAMED_MAX} more` : '';
  const count = nodes.length === 1 ? '1 node' : `${nodes.length} nodes`;
  await io.stderr.write(
    `${escapeText(`${plan.action} ${plan.version} can destroy data. It will run on ${count}: ${named}${more}.`)}\n` +
      'Type yes to run it: ',
  );
  if (!(await isConfirmed(io))) return undefined;
  return {
    ...request,
    action: `${plan.action}@${plan.version}`,
    targets: Targets.fromPartial({ nodes, allowEmpty: request.targets.allowEmpty }),
    acknowledgeRisk: true,
  };
}
