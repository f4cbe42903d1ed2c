import { createClient, RunState } from 'rune';

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
