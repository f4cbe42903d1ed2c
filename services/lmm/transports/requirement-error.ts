import { RuneError } from '../../shared/errors.js';
import type { UnmetFrame } from './frame-decoder.js';
import type { NodeCommand } from './transport.js';

/** NODE_LACKS_REQUIREMENT that names what the plugin requires and the node said it lacks. */
export function requirementError({ requires, target, runId }: NodeCommand, unmet: UnmetFrame): RuneError {
  const missing = requires.commands.filter((_, index) => unmet.commandsMissing[index] === true);
  const lacks: string[] = [];
  if (missing.length > 0)
    lacks.push(`${missing.length > 1 ? 'the commands' : 'the command'} ${missing.join(', ')}`);
  if (!unmet.isOsMet) {
    const wanted = requires.os.map(({ id, versionMin }) =>
      versionMin === '' ? id : `${id} ${versionMin} or newer`,
    );
    const found = [unmet.osId, unmet.osVersion].filter((word) => word !== '-').join(' ');
    lacks.push(`the operating system ${wanted.join(', or ')} (it is ${found === '' ? 'unknown' : found})`);
  }
  if (lacks.length === 0) lacks.push('something that it does not name');
  const reason = lacks.join(', and ');
  return new RuneError('NODE_LACKS_REQUIREMENT', `Nothing ran: ${target.name} lacks ${reason}.`, {
    node: target.name,
    runId,
    reason,
  });
}
