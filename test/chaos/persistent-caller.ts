import { setTimeout as delay } from 'node:timers/promises';
import { RuneError, type LomClient } from '../../services/cli/client.js';
import { isLost } from '../../services/cli/run/patience.js';
import { isFinal } from '../../services/shared/messages/is-final.js';
import type { CallOptions } from '../../services/shared/rpc/rpc-client.js';
import type { EventLedger } from './event-ledger.js';
import type { Random } from './random.js';

const RETRY_MS = 100;
/** A replica that stands still is left after this time. */
const CALL_TIMEOUT_MS = 5_000;

/** An event as a watcher gets it. */
type WatchedEvent =
  ReturnType<LomClient['watchExecution']> extends AsyncGenerator<infer Event> ? Event : never;

/** Somebody who asks another replica whenever one is lost. */
export interface PersistentCaller {
  /** Makes a call until it is answered. Throws what it is refused with. */
  ask<T>(call: (client: LomClient, options: CallOptions) => Promise<T>): Promise<T>;
  /**
   * Yields the events of an execution from one of them on, each once, to the final state. `again` is called after each loss.
   * Throws where there is a gap, or where others saw something else.
   */
  watch(
    executionId: string,
    fromSeq: number,
    again?: () => Promise<unknown>,
  ): AsyncGenerator<WatchedEvent, void, undefined>;
}

/** Makes a caller who draws a replica for each try. */
export function createPersistentCaller(
  clients: readonly LomClient[],
  random: Random,
  ledger: EventLedger,
  signal: AbortSignal,
): PersistentCaller {
  const endure = async (thrown: unknown): Promise<void> => {
    if (signal.aborted || !(thrown instanceof RuneError) || !isLost(thrown)) throw thrown;
    await delay(RETRY_MS);
  };
  return {
    async ask(call) {
      for (;;) {
        try {
          return await call(random.pick(clients), { signal, timeoutMs: CALL_TIMEOUT_MS });
        } catch (thrown) {
          await endure(thrown);
        }
      }
    },
    async *watch(executionId, fromSeq, again) {
      for (let nextSeq = fromSeq; ;) {
        try {
          const client = random.pick(clients);
          for await (const event of client.watchExecution({ executionId, fromSeq: nextSeq }, { signal })) {
            if (event.seq !== nextSeq) throw new Error(`event ${event.seq} came instead of ${nextSeq}`);
            ledger.note(event);
            nextSeq += 1;
            yield event;
            if (event.event?.$case === 'execution' && isFinal(event.event.value.state)) return;
          }
          throw new Error(`the events ended after ${nextSeq - 1} without a final state`);
        } catch (thrown) {
          await endure(thrown);
          await again?.();
        }
      }
    },
  };
}
