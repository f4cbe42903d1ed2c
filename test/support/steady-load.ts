import { createClient, type LomClient } from '../../services/cli/client.js';
import { RuneError } from '../../services/shared/errors.js';
import { ExecutionState, RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../services/shared/messages/ids.js';
import { appendedRuns } from './execution-story.js';
import { eventually } from './eventually.js';

/** A load of short runs, each on one node, some at a time, by callers that go on when an orchestrator goes away. */
export interface SteadyLoad {
  /** Executions that have ended so far. */
  readonly ended: number;
  /** Resolves when so many more executions have ended. */
  more(count: number): Promise<void>;
  /** Begins no more, and resolves with how each ended, once all have. */
  stop(): Promise<LoadResult>;
}

/** How the executions of a load ended. */
export interface LoadResult {
  readonly executions: number;
  /** Runs by the name of their state. */
  readonly states: Readonly<Record<string, number>>;
  /** What the runs that did not succeed say. */
  readonly failures: readonly string[];
  /** Runs whose plugin ran more than once, or not at all although they succeeded. */
  readonly wrong: readonly string[];
}

/** What a load works with. */
export interface LoadOptions {
  /** The orchestrators. */
  readonly addresses: readonly string[];
  readonly nodes: readonly string[];
  readonly atOnce: number;
  readonly action?: string;
  /** Where append-run writes, and how long each run takes. */
  readonly appended: string;
  readonly runMs: number;
}

/** An orchestrator that stops or is gone: another one answers, or it will. */
const GOES_ON = new Set([
  'SERVICE_UNREACHABLE',
  'SERVICE_SHUTTING_DOWN',
  'CALL_DEADLINE_EXCEEDED',
  'CALL_CANCELLED',
  'STORE_UNAVAILABLE',
]);
const CALL_TIMEOUT_MS = 5_000;

const STATE_NAMES = new Map<number, string>(Object.entries(RunState).map(([name, value]) => [value, name]));

/** Begins the load. */
export function startSteadyLoad(options: LoadOptions): SteadyLoad {
  const { addresses, nodes, appended, runMs } = options;
  const clients = addresses.map((address) => createClient({ address }));
  const outcomes = new Map<string, Outcome>();
  const waiting = new Set<{ readonly at: number; readonly resolve: () => void }>();
  let begun = 0;
  let ended = 0;
  const over = new AbortController();

  /** Asks one orchestrator after the other until one answers. */
  const persistently = <T>(
    first: number,
    label: string,
    ask: (client: LomClient) => Promise<T>,
  ): Promise<T> => {
    let turn = first;
    return eventually(
      async () => {
        const client = clients[(turn += 1) % clients.length] as LomClient;
        try {
          return { answer: await ask(client) };
        } catch (thrown) {
          if (GOES_ON.has(RuneError.from(thrown).name)) throw thrown;
          return { thrown };
        }
      },
      { label, timeoutMs: 60_000, pauseMs: 50 },
    ).then((found) => {
      if ('thrown' in found) throw found.thrown;
      return found.answer;
    });
  };

  const one = async (turn: number): Promise<void> => {
    const node = nodes[turn % nodes.length] ?? '';
    const request = {
      action: options.action ?? 'append-run',
      targets: { nodes: [node] },
      params: { path: appended, lines: 1, pause_ms: runMs },
      requestId: newId(),
    };
    const { execution } = await persistently(turn, 'an orchestrator that accepts', (client) =>
      client.submitExecution(request, { timeoutMs: CALL_TIMEOUT_MS }),
    );
    const executionId = execution?.executionId ?? '';
    let fromSeq = 1;
    await persistently(turn, `the end of ${executionId}`, async (client) => {
      for await (const { seq, runId, event } of client.watchExecution({ executionId, fromSeq })) {
        fromSeq = seq + 1;
        if (event?.$case === 'outcome') outcomes.set(runId, event.value);
        if (event?.$case === 'execution' && event.value.state >= ExecutionState.SUCCEEDED) return;
      }
      throw new RuneError('CALL_CANCELLED', 'The stream ended early.');
    });
  };

  const worker = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await one((begun += 1));
      ended += 1;
      for (const wait of waiting) if (ended >= wait.at) wait.resolve();
    }
  };
  const workers = Promise.all(Array.from({ length: options.atOnce }, worker));
  workers.catch(() => over.abort());

  return {
    get ended() {
      return ended;
    },
    async more(count) {
      const more = new Promise<void>((resolve) => void waiting.add({ at: ended + count, resolve }));
      await Promise.race([more, workers]);
    },
    async stop() {
      over.abort();
      await workers.finally(() => clients.forEach((client) => client.close()));
      const counts = await appendedRuns(appended);
      const states: Record<string, number> = {};
      for (const { state } of outcomes.values()) {
        const name = STATE_NAMES.get(state) ?? String(state);
        states[name] = (states[name] ?? 0) + 1;
      }
      const failures = [...outcomes.values()].flatMap(({ error }) =>
        error === undefined ? [] : [`${error.errorData?.name}: ${error.errorData?.message}`],
      );
      const wrong = [...outcomes].flatMap(([runId, { state }]) => {
        const times = counts.get(runId) ?? 0;
        return times > 1 || (state === RunState.SUCCEEDED && times !== 1)
          ? [`${runId} ran ${times} times`]
          : [];
      });
      return { executions: begun, states, failures, wrong };
    },
  };
}
