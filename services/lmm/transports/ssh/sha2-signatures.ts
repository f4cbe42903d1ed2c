import type { BaseAgent, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';

/**
 * The key, except that it makes no signature with SHA-1. The library falls back to one for an rsa key if the node does not
 * say that it knows better.
 */
export function sha2Key(key: ParsedKey): ParsedKey {
  if (key.type !== 'ssh-rsa') return key;
  // The library takes an error for an answer, which its types do not say.
  const sign = (data: Buffer | string, algorithm?: string): Buffer | Error =>
    isSha1(algorithm ?? 'sha1') ? refusal() : key.sign(data, algorithm);
  return inherit(key, { sign });
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
  return inherit(agent, { sign });
}

/** The library recognises its own objects by what they inherit. */
function inherit<T extends object>(from: T, own: { readonly sign: unknown }): T {
  return Object.create(from, { sign: { value: own.sign } }) as T;
}

const isSha1 = (algorithm: string): boolean => algorithm.toLowerCase() === 'sha1';

const refusal = (): Error => new Error('the node takes signatures with SHA-1 only from an rsa key');
