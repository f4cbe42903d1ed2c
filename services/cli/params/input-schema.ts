import type { LomClient } from '../client.js';
import type { CallOptions } from '../../shared/rpc/rpc-client.js';

/** The action's input schema, asked for once; empty for an action without one. */
export function inputSchemaReader(
  action: string,
  { client, call }: { readonly client: Pick<LomClient, 'getAction'>; readonly call: CallOptions },
): () => Promise<unknown> {
  let schema: Promise<unknown> | undefined;
  return () => {
    schema ??= client.getAction({ action }, call).then((answer): unknown => {
      const text = answer.action?.inputSchema ?? '';
      return text === '' ? {} : JSON.parse(text);
    });
    return schema;
  };
}
