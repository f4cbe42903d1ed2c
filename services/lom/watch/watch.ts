import { RuneError } from '../../shared/errors.js';
import { replyHeader } from '../../shared/messages/header.js';
import { EncodedMessage } from '../../shared/rpc/encoded-message.js';
import {
  EventKind as WantedKind,
  RunResponse,
  type WatchExecutionRequest,
} from '../../shared/gen/rune/v1/lom.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { eventTypeOf } from './event-type.js';
import { isFinal } from '../../shared/messages/is-final.js';
import type { EventKind, EventRange, EventRecord, ExecutionRecord, Store } from '../store/store.js';
import type { WatchHub } from './watch-hub.js';

/** Bytes of events that one reading of the store takes; what a watcher costs at most. */
const PAGE_BYTES_MAX = 256 * 1024;
const NODES_MAX = 1000;
const KINDS = new Map<WantedKind, EventKind>([
  [WantedKind.STATE, 'state'],
  [WantedKind.LOG, 'log'],
  [WantedKind.PROGRESS, 'progress'],
  [WantedKind.OUTCOME, 'outcome'],
  [WantedKind.LOG_TRUNCATED, 'logTruncated'],
  [WantedKind.WAITING, 'waiting'],
  [WantedKind.RETRY, 'retry'],
]);
const LOG = new Set<EventKind>(['log', 'progress']);

/** Which events somebody wants to see. */
export type WatchChoice = Pick<
  WatchExecutionRequest,
  'executionId' | 'fromSeq' | 'nodes' | 'withoutLog' | 'kinds'
>;

/** An execution that whoever wants to watch it has just recorded. */
export interface KnownExecution {
  readonly execution: ExecutionRecord;
  /** Its first event, as long as it is the only one; undefined for one that was there before. */
  opening(): EventRecord | undefined;
}

/** What watching works with. */
export interface WatchDeps {
  readonly store: Pick<Store, 'execution' | 'events'>;
  readonly hub: Pick<WatchHub, 'subscribe'>;
  /** The store is read again after this long without a word that something changed. */
  readonly pollMs: number;
}

/** The kinds that are shown; undefined for all of them. Those of the execution itself always are. */
function kindsOf({ kinds, withoutLog }: WatchChoice): readonly EventKind[] | undefined {
  if (kinds.length === 0 && !withoutLog) return undefined;
  const wanted = (kinds.length === 0 ? [...KINDS.keys()] : kinds).map((kind) => {
    const known = KINDS.get(kind);
    if (known !== undefined) return known;
    throw new RuneError('FIELD_OUT_OF_RANGE', 'The request names a kind of event that is not known.', {
      field: 'kinds',
      originalValue: String(kind),
      expectedFormat: 'an EventKind',
    });
  });
  return ['execution', ...new Set(wanted.filter((kind) => !withoutLog || !LOG.has(kind)))];
}

function rangeOf(choice: WatchChoice): Omit<EventRange, 'fromSeq'> {
  const { nodes } = choice;
  const kinds = kindsOf(choice);
  if (nodes.length > NODES_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', `The request names ${nodes.length} nodes.`, {
      field: 'nodes',
      expectedFormat: `at most ${NODES_MAX}`,
    });
  }
  return {
    bytesMax: PAGE_BYTES_MAX,
    ...(nodes.length === 0 ? {} : { nodes }),
    ...(kinds === undefined ? {} : { kinds }),
  };
}

/** What a record leaves out, followed by the record: fields of a message may stand in any order, so that nobody takes it apart. */
function responseOf(
  executionId: string,
  { seq, kind, body }: EventRecord,
  request: RcsHeader,
  first: boolean,
): EncodedMessage {
  const head = RunResponse.encode({
    header: replyHeader(request, eventTypeOf(kind), 'lom', first),
    executionId,
    seq,
    runId: '',
    node: '',
    attempt: 0,
    at: undefined,
    event: undefined,
  });
  return new EncodedMessage(Buffer.concat([head.finish(), body]));
}

function isLast({ kind, body }: EventRecord): boolean {
  if (kind !== 'execution') return false;
  const { event } = RunResponse.decode(body);
  return event?.$case === 'execution' && isFinal(event.value.state);
}

/**
 * The recorded events of an execution from `fromSeq` on, as they are recorded, until its final state; each is a RunResponse. A
 * watcher that is slow, or many of them, cost a page of events each and hold up nobody. `known` spares a look into the store. Throws
 * EXECUTION_NOT_FOUND and FIELD_OUT_OF_RANGE.
 */
export async function* watchExecution(
  choice: WatchChoice,
  header: RcsHeader,
  signal: AbortSignal,
  { store, hub, pollMs }: WatchDeps,
  known?: KnownExecution,
): AsyncGenerator<EncodedMessage, void, undefined> {
  const { executionId } = choice;
  const range = rangeOf(choice);
  const isFiltered = range.nodes !== undefined || range.kinds !== undefined;
  const execution = known?.execution ?? (await store.execution(executionId));
  if (execution === undefined)
    throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.', { executionId });
  let fromSeq = Math.max(1, choice.fromSeq);
  const nextSeq = isFinal(execution.state) ? execution.lastSeq : execution.lastSeq + 1;
  if (fromSeq > nextSeq) {
    throw new RuneError('FIELD_OUT_OF_RANGE', `The execution has no event ${fromSeq} yet.`, {
      executionId,
      field: 'from_seq',
      originalValue: String(fromSeq),
      expectedFormat: `at most ${nextSeq}`,
    });
  }
  let first = true;
  // At first, and after a time without a word, whatever is known here.
  let asksStore = true;
  // Before the store is read, so that no change falls in between.
  const subscription = hub.subscribe(executionId);
  try {
    // What comes after it is heard of from here on.
    const opening = isFiltered || fromSeq > 1 ? undefined : known?.opening();
    if (opening !== undefined) {
      yield responseOf(executionId, opening, header, first);
      first = false;
      fromSeq = opening.seq + 1;
      asksStore = !(await subscription.changed(pollMs, signal));
    }
    for (;;) {
      // What a filter leaves out is not to be searched again and again.
      const searched = isFiltered ? ((await store.execution(executionId))?.lastSeq ?? 0) : 0;
      const recent = asksStore || isFiltered ? undefined : subscription.recent(fromSeq, PAGE_BYTES_MAX);
      const page = recent ?? (await store.events(executionId, { ...range, fromSeq }));
      asksStore = false;
      let bytes = 0;
      for (const record of page) {
        yield responseOf(executionId, record, header, first);
        first = false;
        if (isLast(record)) return;
        fromSeq = record.seq + 1;
        bytes += record.body.length;
      }
      if (bytes >= PAGE_BYTES_MAX) signal.throwIfAborted();
      else {
        fromSeq = Math.max(fromSeq, searched + 1);
        asksStore = !(await subscription.changed(pollMs, signal));
      }
    }
  } finally {
    subscription.end();
  }
}
