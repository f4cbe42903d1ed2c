import { RuneError } from '../../../shared/errors.js';
import type { NodeCommand } from '../transport.js';
import type { NodeReport } from './report.js';

const WORDS_MAX = 300;

/** The error of a run whose script could not begin on its node: nothing ran. */
export function unableError(
  { target: { name: node }, runId, references = [] }: NodeCommand,
  { what, hole }: Extract<NodeReport, { kind: 'unable' }>,
): RuneError {
  const about = { node, runId };
  if (what === 'stopped') {
    return new RuneError('NODE_SETUP_FAILED', `Nothing ran on ${node}: it was stopped before.`, about);
  }
  const reference = hole && references[hole.index];
  if (reference === undefined) {
    const message = `Nothing ran on ${node}: its agent could not run the script, for want of ${what}.`;
    return new RuneError('NODE_SETUP_FAILED', message, about);
  }
  const words =
    hole?.words.replaceAll(/[^ -~]+/g, ' ').slice(0, WORDS_MAX) || 'the AWS command line gave no value';
  return new RuneError(
    'SSM_PARAMETER_UNAVAILABLE',
    `Nothing ran on ${node}: it could not look up ${reference.name} for the parameter ${reference.parameter}: ${words}`,
    { ...about, field: `params.${reference.parameter}` },
  );
}
