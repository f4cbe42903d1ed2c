import { RuneError } from '../../shared/errors.js';
import {
  RunResponse,
  type Execution,
  type ExecutionRun,
  type GetExecutionRequest,
  type ListExecutionsRequest,
} from '../../shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState, type Outcome } from '../../shared/gen/rune/v1/run.js';
import { executionMessage, fullExecutionMessage, runMessage } from './execution-message.js';
import { isFinal } from '../../shared/messages/is-final.js';
import { pageSizeOf } from '../../shared/messages/page.js';
import type { ExecutionFilter, LockWait, RunRecord, Store } from '../store/store.js';

/** Bytes of outcomes after which a page of runs ends. */
const PAGE_BYTES_MAX = 1024 * 1024;
/** Waiting runs of one answer whose place is told. */
const LOCK_WAITS_MAX = 1000;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const POSITION = /^\d{1,9}$/;

/** One page, and what asks for the next one; empty on the last page. */
interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

function readToken(token: string, pattern: RegExp): string | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString();
  if (pattern.test(text)) return text;
  throw new RuneError('FIELD_MALFORMED', 'The page token is none that this list has given out.', {
    field: 'page_token',
  });
}

const makeToken = (text: string): string => Buffer.from(text).toString('base64url');

async function outcomeOf(
  store: Store,
  executionId: string,
  run: RunRecord,
): Promise<{ outcome: Outcome | undefined; bytes: number }> {
  const range = { fromSeq: run.outcomeSeq, bytesMax: 1 };
  const [record] = run.outcomeSeq === 0 ? [] : await store.events(executionId, range);
  if (record === undefined) return { outcome: undefined, bytes: 0 };
  const { event } = RunResponse.decode(record.body);
  return { outcome: event?.$case === 'outcome' ? event.value : undefined, bytes: record.body.length };
}

/** One execution with a page of its runs. Throws EXECUTION_NOT_FOUND, and FIELD_OUT_OF_RANGE or FIELD_MALFORMED for the page. */
export async function showExecution(
  store: Store,
  request: GetExecutionRequest,
): Promise<{ execution: Execution; runs: Page<ExecutionRun> }> {
  const { executionId, states } = request;
  const limit = pageSizeOf(request.pageSize);
  const after = Number(readToken(request.pageToken, POSITION) ?? -1);
  // One more than is shown tells whether there is a next page.
  const choice = { after, limit: limit + 1, ...chosenStates(states, RunState) };
  const record = await store.execution(executionId);
  if (record === undefined)
    throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.', { executionId });
  const runs = await store.runs(executionId, choice);
  const waits = isFinal(record.state)
    ? new Map<number, LockWait>()
    : await store.lockWaits(executionId, { after, limit: LOCK_WAITS_MAX });
  const items: ExecutionRun[] = [];
  let bytes = 0;
  let last = after;
  for (const run of runs.slice(0, limit)) {
    const ended = request.outcomes ? await outcomeOf(store, executionId, run) : undefined;
    bytes += ended?.bytes ?? 0;
    if (bytes > PAGE_BYTES_MAX && items.length > 0) break;
    items.push(runMessage(run, ended?.outcome, waits.get(run.position)));
    last = run.position;
  }
  const more = items.length < runs.length;
  const counts = await store.runCounts([executionId]);
  return {
    execution: fullExecutionMessage(record, counts.get(executionId) ?? new Map()),
    runs: { items, nextPageToken: more ? makeToken(String(last)) : '' },
  };
}

/** The states that a request chooses by; none for all of them. Throws FIELD_OUT_OF_RANGE for one that is not known. */
function chosenStates<S extends number>(
  asked: readonly S[],
  known: Readonly<Record<string, number | string>>,
): { states?: readonly S[] } {
  const states = [...new Set(asked)];
  const all = new Set(Object.values(known));
  const unknown = states.find((state) => !all.has(state));
  if (unknown !== undefined)
    throw new RuneError('FIELD_OUT_OF_RANGE', 'There is no such state.', {
      field: 'states',
      originalValue: String(unknown),
    });
  return states.length === 0 ? {} : { states };
}

function filterOf(request: ListExecutionsRequest): ExecutionFilter {
  const { action, node, states, triggeredBy, correlationId, since, until } = request;
  return {
    ...(action === '' ? {} : { action }),
    ...(node === '' ? {} : { node }),
    ...chosenStates(states, ExecutionState),
    ...(triggeredBy === '' ? {} : { triggeredBy }),
    ...(correlationId === '' ? {} : { correlationId }),
    ...(since === undefined ? {} : { sinceMs: since.getTime() }),
    ...(until === undefined ? {} : { untilMs: until.getTime() }),
  };
}

/** Executions, newest first. */
export async function listExecutions(store: Store, request: ListExecutionsRequest): Promise<Page<Execution>> {
  const limit = pageSizeOf(request.pageSize);
  const before = readToken(request.pageToken, ID);
  const records = await store.executions(filterOf(request), limit + 1, before);
  const shown = records.slice(0, limit);
  const counts = await store.runCounts(shown.map(({ id }) => id));
  const items = shown.map((record) => executionMessage(record, counts.get(record.id) ?? new Map()));
  const last = shown.at(-1);
  const more = records.length > limit && last !== undefined;
  return { items, nextPageToken: more ? makeToken(last.id) : '' };
}
