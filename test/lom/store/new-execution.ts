import { ExecutionState } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import type { EventRecord, NewExecution, Store } from '../../../services/lom/store/store.js';

/** An execution on these nodes as LOM would create it, but for what is given. */
export function newExecution({
  nodes = ['web01'],
  ...given
}: Partial<NewExecution> & { readonly nodes?: readonly string[] } = {}): NewExecution {
  return {
    id: newId(),
    state: ExecutionState.QUEUED,
    action: 'noop',
    version: '1.0.0',
    digest: 'sha256:00',
    reason: '',
    triggeredBy: 'alice',
    correlationId: '',
    requestId: '',
    dryRun: false,
    rerunOf: '',
    owner: 'first',
    request: Buffer.from('request'),
    requestDigest: Buffer.from('digest'),
    runs: nodes.map((node) => ({ runId: newId(), node })),
    event: event(1, '', 'execution'),
    ...given,
  };
}

/** An event with a body of `bytes` bytes. */
export function event(seq: number, node: string, kind: EventRecord['kind'], bytes = 3): EventRecord {
  return { seq, node, kind, body: Buffer.alloc(bytes, seq) };
}

/** Creates an execution outside of every request id and answers its id. */
export async function create(store: Store, given: Parameters<typeof newExecution>[0] = {}): Promise<string> {
  return (await store.createExecution(newExecution(given), 0)).execution.id;
}

/** Every event that is recorded. */
export function allEvents(store: Store, executionId: string): Promise<EventRecord[]> {
  return store.events(executionId, { fromSeq: 1, bytesMax: Number.MAX_SAFE_INTEGER });
}
