import { durationText, toMs } from '../../../shared/messages/duration.js';
import type { RuneError } from '../../../shared/errors.js';
import { type Outcome, RunState } from '../../../shared/gen/rune/v1/run.js';
import { errorHeadline } from '../../render/render-error.js';
import { stateWords } from '../../render/describe-outcome.js';
import { compareOutput } from './compare-output.js';
import type { Expected, TestCase } from './plan-cases.js';

const FILES_SHOWN_MAX = 5;

/** What came of a case. */
export interface Observed {
  /** How the run ended; or why the service refused to start it. */
  readonly end: { readonly outcome: Outcome } | { readonly refusal: RuneError };
  /** Lines of the log. */
  readonly log: readonly string[];
  /** What lies in its temporary directory afterwards. */
  readonly files: readonly string[];
}

function nameAndMessage(end: Observed['end']): { name: string; message: string } {
  if ('refusal' in end) return { name: end.refusal.name, message: end.refusal.message };
  const { name = '', message = '' } = end.outcome.error?.errorData ?? {};
  return { name, message };
}

function ending(end: Observed['end']): string {
  if ('refusal' in end) return `was refused: ${end.refusal.name}: ${end.refusal.message}`;
  const { state, error } = end.outcome;
  return `${stateWords(state)}${error === undefined ? '' : `: ${errorHeadline(error)}`}`;
}

function stateDifferences(expected: Expected, end: Observed['end']): string[] {
  const { name, message } = nameAndMessage(end);
  const found: string[] = [];
  if (expected.state !== undefined && (!('outcome' in end) || end.outcome.state !== expected.state)) {
    found.push(`expected that it ${stateWords(expected.state)}; it ${ending(end)}`);
  }
  if (expected.error !== undefined && name !== expected.error) {
    found.push(`expected ${expected.error}; it ${ending(end)}`);
  }
  if (expected.message !== undefined && !message.includes(expected.message)) {
    found.push(`expected a message with ${JSON.stringify(expected.message)}; it ${ending(end)}`);
  }
  return found;
}

function outcomeDifferences(expected: Expected, outcome: Outcome, dryRun: boolean): string[] {
  const { exitCode, result, leftProcesses, maySurvive, phases } = outcome;
  const found: string[] = [];
  if (expected.exitCode !== undefined && exitCode !== expected.exitCode) {
    found.push(`expected exit code ${expected.exitCode}, got ${exitCode ?? 'none'}`);
  }
  if (expected.output !== undefined) {
    const text = result?.outputJson.toString('utf8') ?? '';
    const output: unknown = text === '' ? undefined : JSON.parse(text);
    found.push(...compareOutput(expected.output.value, output, expected.output.compare));
  }
  if (outcome.state === RunState.SUCCEEDED && result?.dryRun !== dryRun) {
    found.push(
      dryRun ? 'it did not answer as a dry run' : 'it answered as a dry run, which was not asked for',
    );
  }
  const tookMs = phases?.run === undefined ? 0 : toMs(phases.run);
  if (expected.withinMs !== undefined && tookMs > expected.withinMs) {
    found.push(
      `expected an end within ${durationText(expected.withinMs)}, took ${durationText(Math.round(tookMs))}`,
    );
  }
  if (expected.leftProcesses !== undefined && leftProcesses !== expected.leftProcesses) {
    found.push(`expected ${expected.leftProcesses} processes to be left, found ${leftProcesses}`);
  }
  if (expected.leftProcesses === 0 && maySurvive) found.push('something that it started may still be alive');
  return found;
}

/** Failures that say that this machine is not one for the action. */
const LACKING = ['PLUGIN_DEPENDENCY_MISSING', 'NODE_LACKS_REQUIREMENT'];

/** What this machine lacks so that the example could not be tried; undefined if it could. */
export function lackingFor({ isExample, expected }: TestCase, { end }: Observed): string | undefined {
  const { name, message } = nameAndMessage(end);
  return isExample && LACKING.includes(name) && expected.error === undefined ? message : undefined;
}

/** What differs from what was expected, one sentence each; empty if the case is good. */
export function checkCase({ expected, dryRun }: TestCase, { end, log, files }: Observed): string[] {
  const missing = expected.log.filter((text) => !log.some((line) => line.includes(text)));
  const shown = files.slice(0, FILES_SHOWN_MAX).join(', ');
  return [
    ...stateDifferences(expected, end),
    ...('outcome' in end ? outcomeDifferences(expected, end.outcome, dryRun) : []),
    ...missing.map((text) => `expected a line of log with ${JSON.stringify(text)}`),
    ...(files.length === 0 || expected.leavesFiles ? [] : [`left in its temporary directory: ${shown}`]),
  ];
}
