import { RuneError } from '../../shared/errors.js';
import type { LomClient } from '../client.js';

/** Resolves with the output schema of the action that runs; undefined if the service does not tell it. Never rejects. */
export type OutputSchema = () => Promise<unknown>;

/** Asks the service once, when it is first needed. `tell` hears why it could not be learned. */
export function createOutputSchema(
  client: Pick<LomClient, 'getAction'>,
  action: string,
  call: { readonly timeoutMs: number; readonly signal: AbortSignal },
  tell: (text: string) => Promise<void>,
): OutputSchema {
  let asked: Promise<unknown> | undefined;
  const ask = async (): Promise<unknown> => {
    try {
      const answer = await client.getAction({ action }, call);
      return JSON.parse(answer.action?.outputSchema || '{}');
    } catch (error) {
      const reason = error instanceof SyntaxError ? 'it is not JSON' : RuneError.from(error).message;
      await tell(
        `the output schema of ${action} could not be read, so base64 in results stays as it is: ${reason}`,
      );
      return undefined;
    }
  };
  return () => (asked ??= ask());
}
