import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toDuration } from '../../../shared/messages/duration.js';
import { RuneError } from '../../../shared/errors.js';
import type { LogLine, Outcome } from '../../../shared/gen/rune/v1/run.js';
import type { LomClient } from '../../client.js';
import type { Observed } from './check-case.js';
import type { TestCase } from './plan-cases.js';

/** The shortest timeout that LOM takes. */
const TIMEOUT_MS_MIN = 1000;
/** Lines of log that are kept of one case. */
const LOG_LINES_MAX = 100_000;

/** What running cases needs. */
export interface CaseRunner {
  readonly client: LomClient;
  /** The plugin's TMPDIR: what is left there is told and removed. */
  readonly temporary: string;
  readonly signal: AbortSignal;
}

const textOf = ({ content }: LogLine): string => content?.value.toString() ?? '';

async function takeLeftFiles(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
  return names.toSorted();
}

/** Runs a case on its node and answers what came of it. Throws CALL_CANCELLED when `signal` aborts. */
export async function runCase(
  { client, temporary, signal }: CaseRunner,
  node: string,
  one: TestCase,
): Promise<Observed> {
  const { withinMs } = one.expected;
  // A plugin that is too slow need not be waited for.
  const timeoutMs =
    one.timeoutMs ?? (withinMs === undefined ? undefined : Math.max(withinMs, TIMEOUT_MS_MIN));
  const log: string[] = [];
  let outcome: Outcome | undefined;
  let refusal: RuneError | undefined;
  const request = {
    action: `${one.action}@${one.version}`,
    targets: { nodes: [node] },
    params: { ...one.params },
    dryRun: one.dryRun,
    acknowledgeRisk: true,
    cancelOnDisconnect: true,
    reason: `test: ${one.name}`,
    ...(timeoutMs === undefined ? {} : { timeout: toDuration(timeoutMs) }),
  };
  try {
    for await (const { event } of client.run(request, { signal })) {
      if (event?.$case === 'log')
        log.push(...event.value.lines.map(textOf).slice(0, LOG_LINES_MAX - log.length));
      if (event?.$case === 'outcome') outcome = event.value;
    }
  } catch (error) {
    refusal = RuneError.from(error);
    if (signal.aborted) throw new RuneError('CALL_CANCELLED', 'Interrupted: the other cases did not run.');
    if (outcome === undefined && refusal.row.exit !== 'REFUSED') throw refusal;
  }
  const files = await takeLeftFiles(temporary);
  if (outcome !== undefined) return { end: { outcome }, log, files };
  refusal ??= new RuneError('OUTCOME_UNKNOWN', 'The execution ended without an outcome.');
  return { end: { refusal }, log, files };
}
