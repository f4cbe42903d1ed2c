import { createClient, ExecutionState, RunState } from 'rune';

/** Prints what each node answers; the names of those that failed are the result. */
export async function printFacts(address: string, nodes: string[]): Promise<string[]> {
  const client = createClient({ address });
  const failed: string[] = [];
  try {
    for await (const { node, event } of client.run({ action: 'host-facts', targets: { nodes } })) {
      if (event?.$case !== 'outcome') continue;
      const { state, result, error } = event.value;
      if (state === RunState.SUCCEEDED) console.log(node, result?.output);
      else failed.push(`${node}: ${error?.errorData?.name}`);
    }
  } finally {
    client.close();
  }
  return failed;
}

/** Starts it and does not wait. The same `requestId` gives the same execution, so that a lost call can be repeated. */
export async function startFacts(address: string, nodes: string[], requestId: string): Promise<string> {
  const client = createClient({ address });
  try {
    const request = { action: 'host-facts', targets: { nodes }, requestId };
    const { execution } = await client.submitExecution(request, { timeoutMs: 5_000 });
    return execution?.executionId ?? '';
  } finally {
    client.close();
  }
}

/** The final state of an execution that somebody started, watched from any of its events on. */
export async function awaitEnd(address: string, executionId: string, fromSeq = 1): Promise<ExecutionState> {
  const client = createClient({ address });
  let state: ExecutionState = ExecutionState.UNSPECIFIED;
  try {
    for await (const { event } of client.watchExecution({ executionId, fromSeq, withoutLog: true })) {
      if (event?.$case === 'execution') ({ state } = event.value);
    }
  } finally {
    client.close();
  }
  return state;
}
