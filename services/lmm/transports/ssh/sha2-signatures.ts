import type { BaseAgent, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';
import { withSign } from './with-sign.js';

/**
 * The key, except that it makes no signature with SHA-1. The library falls back to one for an rsa key if the node does not
 * say that it knows better.
 */
export function sha2Key(key: ParsedKey): ParsedKey {
  if (key.type !== 'ssh-rsa') return key;
  // The library takes an error for an answer, which its types do not say.
  const sign = (data: Buffer | string, algorithm?: string): Buffer | Error =>
    isSha1(algorithm ?? 'sha1') ? refusal() : key.sign(data, algorithm);
  return withSign(key, sign);
}

/** The agent, except that it is asked for no signature with SHA-1. */
export function sha2Agent(agent: BaseAgent): BaseAgent {
  const sign = (
    key: ParsedKey,
    data: Buffer,
    options: SigningRequestOptions,
    callback: SignCallback,
  ): void => {
    if (isSha1(options.hash ?? '')) callback(refusal());
    else agent.sign(key, data, options, callback);
  };
  return withSign(agent, sign);
}

const isSha1 = (algorithm: string): boolean => algorithm.toLowerCase() === 'sha1';

const refusal = (): Error => new Error('the node takes signatures with SHA-1 only from an rsa key');
