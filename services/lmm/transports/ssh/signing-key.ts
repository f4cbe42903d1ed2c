import { createPrivateKey, sign as signWith, type KeyObject } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { withSign } from './with-sign.js';

/** The hash of a signature that the protocol names with the type of its key; ed25519 has its own. */
const HASHES: Readonly<Record<string, string | null>> = {
  'ssh-ed25519': null,
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

/**
 * The private key, read once for all its signatures. The library reads its text again for each one, which takes ten times as long as
 * a signature by ed25519.
 */
export function signingKey(key: ParsedKey): ParsedKey {
  const privateKey = readPrivate(key);
  if (privateKey === undefined) return key;
  // The library takes an error for an answer, which its types do not say.
  const sign = (data: Buffer | string, algorithm?: string): Buffer | Error => {
    const hash = algorithm ?? HASHES[key.type];
    if (hash === undefined) return key.sign(data, algorithm);
    try {
      return signWith(hash, typeof data === 'string' ? Buffer.from(data) : data, privateKey);
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error('the key made no signature');
    }
  };
  return withSign(key, sign);
}

function readPrivate(key: ParsedKey): KeyObject | undefined {
  try {
    return createPrivateKey(key.getPrivatePEM());
  } catch {
    // The library may know a form that this does not: then it reads it by itself.
    return undefined;
  }
}
