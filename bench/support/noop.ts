import type { LomClient } from '../../services/cli/client.js';
import { BPCS } from '../../services/lmm/plugin-protocols/bpcs.js';
import { MediateStart } from '../../services/shared/gen/rune/v1/lmm.js';
import { ExecutionState } from '../../services/shared/gen/rune/v1/run.js';
import { acceptHeader } from '../../services/shared/messages/header.js';
import { newId } from '../../services/shared/messages/ids.js';

/** The node of the bench's world that is reached over SSH as an unprivileged user. */
export const NODE = 'user';

/** One execution of `noop` through both services, to the end of its stream; every run must succeed. */
export async function runNoop(client: LomClient, nodes: readonly string[] = [NODE]): Promise<void> {
  let state: ExecutionState = ExecutionState.UNSPECIFIED;
  for await (const { event } of client.run({ action: 'noop', targets: { nodes: [...nodes] } })) {
    if (event?.$case === 'execution') state = event.value.state;
  }
  if (state !== ExecutionState.SUCCEEDED) throw new Error(`noop ended in state ${state}`);
}

/** The input that a mediator gives to `noop`, so that the baseline carries the same bytes. */
export function noopInput(): string {
  const start = MediateStart.fromPartial({
    runId: newId(),
    executionId: newId(),
    attempt: 1,
    action: 'noop',
    target: { name: NODE },
    paramsJson: Buffer.from('{"message":"ok"}'),
    context: { triggeredBy: 'loopback' },
  });
  return BPCS.input(start, acceptHeader(undefined, { identity: 'loopback', nowMs: Date.now() })).toString();
}
