import { Targets } from '../../shared/gen/rune/v1/lom.js';
import type { Io } from '../io.js';
import { isConfirmed } from '../question.js';
import { escapeText } from '../render/escape-text.js';
import type { Session } from '../with-service.js';
import type { RequestFields } from './build-request.js';

/** Nodes that are named in the question. */
export const NODES_NAMED_MAX = 5;

/** Asks whether an action that can destroy data shall run on these nodes, of which the first few are named. */
export async function askRisk(
  io: Io,
  what: {
    readonly action: string;
    readonly version: string;
    readonly nodes: readonly string[];
    readonly runs: number;
  },
): Promise<boolean> {
  const { action, version, nodes, runs } = what;
  const named = nodes.slice(0, NODES_NAMED_MAX);
  const more = runs > named.length ? ` and ${runs - named.length} more` : '';
  const count = runs === 1 ? '1 node' : `${runs} nodes`;
  await io.stderr.write(
    `${escapeText(`${action} ${version} can destroy data. It will run on ${count}: ${named.join(', ')}${more}.`)}\n` +
      'Type yes to run it: ',
  );
  return isConfirmed(io);
}

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
  const { action, version } = plan;
  if (!(await askRisk(io, { action, version, nodes, runs: nodes.length }))) return undefined;
  return {
    ...request,
    action: `${action}@${version}`,
    targets: Targets.fromPartial({ nodes, allowEmpty: request.targets.allowEmpty }),
    acknowledgeRisk: true,
  };
}
