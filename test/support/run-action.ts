import type { LomClient } from '../../services/cli/client.js';
import { ExecutionState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';

type RunFields = Parameters<LomClient['run']>[0];

/** Everything that one Run call streamed, and what it came to. */
export interface Ran {
  readonly events: readonly RunResponse[];
  readonly state: ExecutionState;
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Text of all log lines of a node. */
  log(node: string): string[];
}

/** Runs an action to its end; `seen` hears every event as it comes. */
export async function runAction(
  client: LomClient,
  request: RunFields,
  seen: (event: RunResponse) => void = () => undefined,
): Promise<Ran> {
  const events: RunResponse[] = [];
  for await (const event of client.run(request)) {
    events.push(event);
    seen(event);
  }
  const last = events.at(-1)?.event;
  return {
    events,
    state: last?.$case === 'execution' ? last.value.state : ExecutionState.UNSPECIFIED,
    outcomes: new Map(
      events.flatMap(({ node, event }) => (event?.$case === 'outcome' ? [[node, event.value] as const] : [])),
    ),
    log: (wanted) =>
      events.flatMap(({ node, event }) =>
        node === wanted && event?.$case === 'log'
          ? event.value.lines.map(({ content }) => (content?.$case === 'text' ? content.value : '<raw>'))
          : [],
      ),
  };
}
