import { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { type EpsError } from '../../services/shared/gen/rune/v1/eps.js';
import { type ErrorName, RuneError } from '../../services/shared/errors.js';
import { toEps } from '../../services/shared/messages/eps.js';
import { ExecutionState, type Outcome, RunState } from '../../services/shared/gen/rune/v1/run.js';

export const EXECUTION_ID = '0199aaaa-0000-7000-8000-000000000001';

type Fields = NonNullable<Parameters<typeof RunResponse.fromPartial>[0]>;
type OutcomeFields = NonNullable<Parameters<typeof Outcome.fromPartial>[0]>;

/** Events of one execution with a gap-free seq, as LOM sends them. */
export function createEvents(action = 'tail-log') {
  let seq = 0;
  const event = (fields: Fields): RunResponse => {
    seq += 1;
    return RunResponse.fromPartial({ executionId: EXECUTION_ID, seq, ...fields });
  };
  const ofRun = (node: string, fields: Fields): RunResponse =>
    event({ node, runId: `run-of-${node}`, attempt: 1, ...fields });
  return {
    accepted: (runs: number) =>
      event({
        event: {
          $case: 'execution',
          value: { state: ExecutionState.RUNNING, action, version: '1.2.0', digest: 'ab'.repeat(32), runs },
        },
      }),
    state: (state: ExecutionState) => event({ event: { $case: 'execution', value: { state } } }),
    final: (state: ExecutionState, counts: Partial<Record<keyof typeof RunState, number>> = {}) =>
      event({
        event: {
          $case: 'execution',
          value: {
            state,
            counts: Object.entries(counts).map(([name, count]) => ({
              state: RunState[name as keyof typeof RunState],
              count,
            })),
          },
        },
      }),
    running: (node: string) => ofRun(node, { event: { $case: 'state', value: RunState.RUNNING } }),
    log: (node: string, text: string, level: 0 | 1 | 2 | 3 | 4 = 0) =>
      ofRun(node, {
        event: {
          $case: 'log',
          value: { lines: [{ content: { $case: 'text', value: text }, stream: 2, level }] },
        },
      }),
    rawLog: (node: string, bytes: Buffer) =>
      ofRun(node, {
        event: { $case: 'log', value: { lines: [{ content: { $case: 'raw', value: bytes }, stream: 2 }] } },
      }),
    progress: (node: string, percent: number, message: string) =>
      ofRun(node, { event: { $case: 'progress', value: { percent, message } } }),
    outcome: (node: string, outcome: OutcomeFields) =>
      ofRun(node, {
        event: {
          $case: 'outcome',
          value: {
            phases: { connect: { seconds: 0, nanos: 0 }, run: { seconds: 1, nanos: 200_000_000 } },
            ...outcome,
          },
        },
      }),
    succeeded: (node: string, output: Record<string, unknown> = {}) =>
      ofRun(node, {
        event: {
          $case: 'outcome',
          value: {
            state: RunState.SUCCEEDED,
            result: { outputJson: Buffer.from(JSON.stringify(output)), output },
            phases: { run: { seconds: 1, nanos: 200_000_000 } },
          },
        },
      }),
    failed: (node: string, name: ErrorName, message: string) =>
      ofRun(node, {
        event: {
          $case: 'outcome',
          value: {
            state: RunState.FAILED,
            error: failure(name, message, node),
            phases: { run: { seconds: 3, nanos: 0 } },
          },
        },
      }),
  };
}

/** An EPS failure as a service writes it. */
export function failure(name: ErrorName, message: string, node: string): EpsError {
  return toEps(new RuneError(name, message, { node, action: 'tail-log' }), { source: 'test' });
}

/** The stream of an execution that ends by itself. */
export async function* play(...events: readonly RunResponse[]): AsyncGenerator<RunResponse> {
  yield* events;
}

/** An execution of which one run of three succeeds. */
export function threeNodes(): RunResponse[] {
  const events = createEvents();
  return [
    events.accepted(3),
    events.running('web01'),
    events.running('web02'),
    events.log('web01', 'reading the journal'),
    events.succeeded('web01', { lines: ['a', 'b'], unit: 'nginx' }),
    events.failed('web02', 'NODE_UNREACHABLE', 'web02 (192.0.2.2:22) refused the connection.'),
    events.failed('web03', 'HOST_KEY_CHANGED', 'web03 presents another host key.'),
    events.final(ExecutionState.PARTIAL, { SUCCEEDED: 1, FAILED: 2 }),
  ];
}
