import { createInterface } from 'node:readline';
import { RuneError } from '../../shared/errors.js';
import { Targets } from '../../shared/gen/rune/v1/lom.js';
import type { Io } from '../io.js';
import { escapeText } from '../render/escape-text.js';
import type { Session } from '../with-service.js';
import type { RequestFields } from './build-request.js';

const NODES_NAMED_MAX = 5;

/** One line typed by the person; undefined at the end of input. Throws CALL_CANCELLED at an interrupt. */
function readLine({ stdin, interrupts }: Pick<Io, 'stdin' | 'interrupts'>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stdin, terminal: false });
    const stop = () => {
      // Closing is an answer too, so it comes second.
      reject(new RuneError('CALL_CANCELLED', 'Interrupted at the question: nothing ran.'));
      lines.close();
    };
    const settle = (line?: string) => {
      interrupts.first.removeEventListener('abort', stop);
      resolve(line);
      lines.close();
    };
    interrupts.first.addEventListener('abort', stop, { once: true });
    lines.once('line', settle);
    lines.once('close', () => settle());
  });
}

/** Whether a question makes sense: somebody sees it and can answer. */
export function mayAsk({ stdin, stderr }: Pick<Io, 'stdin' | 'stderr'>, stdinIsUsed: boolean): boolean {
  return stdin.isTTY === true && stderr.terminal && !stdinIsUsed;
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
  const named = nodes.slice(0, NODES_NAMED_MAX).join(', ');
  const more = nodes.length > NODES_NAMED_MAX ? ` and ${nodes.length - NODES_NAMED_MAX} more` : '';
  const count = nodes.length === 1 ? '1 node' : `${nodes.length} nodes`;
  await io.stderr.write(
    `${escapeText(`${plan.action} ${plan.version} can destroy data. It will run on ${count}: ${named}${more}.`)}\n` +
      'Type yes to run it: ',
  );
  const answer = await readLine(io);
  if (answer === undefined) await io.stderr.write('\n');
  if (answer?.trim().toLowerCase() !== 'yes') return undefined;
  return {
    ...request,
    action: `${plan.action}@${plan.version}`,
    targets: Targets.fromPartial({ nodes, allowEmpty: request.targets.allowEmpty }),
    acknowledgeRisk: true,
  };
}
