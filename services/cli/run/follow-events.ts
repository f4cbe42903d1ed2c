import { RuneError } from '../../shared/errors.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import { NOT_CONNECTED } from '../../shared/rpc/not-connected.js';
import type { LomClient } from '../client.js';
import { notAnswered } from './not-answered.js';
import { isLost, type Patience } from './patience.js';
import { isFinal } from '../../shared/messages/is-final.js';

/** A stream that lived this long had been connected, also if it was silent: no attempt to connect takes longer. */
const CONNECTED_MS = 30_000;

/** Which events are wanted. */
export interface EventChoice {
  readonly fromSeq: number;
  readonly nodes: readonly string[];
  readonly withoutLog: boolean;
}

/** All events of an execution. */
export const ALL_EVENTS: EventChoice = { fromSeq: 1, nodes: [], withoutLog: false };

/** Where the events come from: a request that runs, or an execution that there is. */
export type EventSource =
  | { readonly request: Parameters<LomClient['run']>[0] & { readonly requestId: string } }
  | { readonly executionId: string; readonly choice: EventChoice };

/**
 * The events of an execution, each once and in order, also where the service is lost in between. A request is repeated only
 * until its first event: its request id makes that harmless. Throws what the service refuses, what it was lost with when patience is
 * over, and OUTCOME_UNKNOWN if it was lost before it said whether it accepted the request.
 */
export async function* followEvents(
  client: Pick<LomClient, 'run' | 'watchExecution'>,
  source: EventSource,
  { patience, signal }: { readonly patience: Patience; readonly signal: AbortSignal },
): AsyncGenerator<RunResponse, void, undefined> {
  const choice = 'choice' in source ? source.choice : ALL_EVENTS;
  let executionId = 'choice' in source ? source.executionId : '';
  let nextSeq = choice.fromSeq;
  let sent = false;

  const open = () =>
    'request' in source && executionId === ''
      ? client.run(source.request, { signal })
      : client.watchExecution(
          { executionId, fromSeq: nextSeq, nodes: [...choice.nodes], withoutLog: choice.withoutLog },
          { signal },
        );

  for (;;) {
    const openedMs = performance.now();
    try {
      for await (const event of open()) {
        if (event.seq < nextSeq) continue;
        patience.answered();
        nextSeq = event.seq + 1;
        executionId = event.executionId;
        yield event;
        // There is no next event to ask for, should the call end badly.
        if (event.event?.$case === 'execution' && isFinal(event.event.value.state)) return;
      }
      return;
    } catch (thrown) {
      const error = RuneError.from(thrown);
      if (performance.now() - openedMs >= CONNECTED_MS) patience.answered();
      sent ||= error.facts.reason !== NOT_CONNECTED;
      // Somebody who misspelt the address shall not wait.
      const wrongAddress = executionId === '' && !sent;
      if (!wrongAddress && (await patience.tryAgain(error))) continue;
      const unanswered = 'request' in source && executionId === '' && sent && isLost(error);
      throw unanswered ? notAnswered(source.request.requestId, error) : error;
    }
  }
}
