import type { Kysely } from 'kysely';
import { RunResponse, SubmitExecutionRequest } from '../../shared/gen/rune/v1/lom.js';
import { executionStateToJSON, runStateToJSON } from '../../shared/gen/rune/v1/run.js';
import { listExecutions, readExecution } from './read-executions.js';
import { readEvents } from './read-events.js';
import { readRuns } from './read-runs.js';
import type { StoreSnapshot } from './read-store.js';
import type { StoreTables } from './store-tables.js';
import type { EventRecord, ExecutionRecord, RunRecord } from './store.js';

const EXECUTIONS_PAGE = 200;
const RUNS_PAGE = 1_000;
const EVENTS_PAGE_BYTES = 4 * 1024 * 1024;

/**
 * Writes a store as NDJSON, newest execution first: a line of the type `execution`, then its runs, then its events (docs/store.md
 * shows them). Each line ends with a newline; the next one is read when `write` has settled.
 */
export async function exportStore(
  { db }: Pick<StoreSnapshot, 'db'>,
  write: (line: string) => Promise<void>,
): Promise<void> {
  const writeLine = (value: object): Promise<void> => write(`${JSON.stringify(value)}\n`);
  for (let before: string | undefined; ;) {
    const page = await listExecutions(db, {}, EXECUTIONS_PAGE, before);
    for (const { id } of page) await exportExecution(db, id, writeLine);
    before = page.at(-1)?.id;
    if (before === undefined) return;
  }
}

async function exportExecution(
  db: Kysely<StoreTables>,
  id: string,
  writeLine: (value: object) => Promise<void>,
): Promise<void> {
  const execution = await readExecution(db, id);
  if (execution === undefined) return;
  await writeLine(executionLine(execution));
  for (let after = -1; ;) {
    const runs = await readRuns(db, id, { after, limit: RUNS_PAGE });
    for (const run of runs) await writeLine(runLine(id, run));
    const last = runs.at(-1);
    if (last === undefined) break;
    after = last.position;
  }
  for (let fromSeq = 1; ;) {
    const events = await readEvents(db, id, { fromSeq, bytesMax: EVENTS_PAGE_BYTES });
    for (const event of events) await writeLine(eventLine(id, event));
    const last = events.at(-1);
    if (last === undefined) break;
    fromSeq = last.seq + 1;
  }
}

function executionLine({ state, createdMs, endedMs, request, ...rest }: ExecutionRecord): object {
  return {
    type: 'execution',
    ...rest,
    state: executionStateToJSON(state),
    createdAt: toTime(createdMs),
    endedAt: toTime(endedMs),
    request: decoded(request, (bytes) => SubmitExecutionRequest.toJSON(SubmitExecutionRequest.decode(bytes))),
  };
}

function runLine(executionId: string, run: RunRecord): object {
  const { state, placedMs, startedMs, endedMs, ...rest } = run;
  return {
    type: 'run',
    executionId,
    ...rest,
    state: runStateToJSON(state),
    placedAt: toTime(placedMs),
    startedAt: toTime(startedMs),
    endedAt: toTime(endedMs),
  };
}

function eventLine(executionId: string, { seq, node, kind, body }: EventRecord): object {
  const event = decoded(body, (bytes) => RunResponse.toJSON(RunResponse.decode(bytes)));
  return { type: 'event', executionId, seq, node, kind, event };
}

function toTime(ms: number): string | undefined {
  return ms === 0 ? undefined : new Date(ms).toISOString();
}

/** A message as JSON; what cannot be read as one is kept as it is. */
function decoded(bytes: Buffer, read: (bytes: Buffer) => unknown): unknown {
  try {
    return read(bytes);
  } catch {
    return { unreadable_base64: bytes.toString('base64') };
  }
}
