import type { Algorithms, ServerHostKeyAlgorithm } from 'ssh2';
import type { HostKey } from './host-key-blob.js';

/** Without "ssh-rsa", whose signatures use SHA-1. The order is that of OpenSSH. */
const HOST_KEY_ALGORITHMS: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
];
const SHA1_MACS = ['hmac-sha1-etm@openssh.com', 'hmac-sha1'] as const;

/**
 * The key exchange to begin with, before curve25519, which stays next: as strong, but a connection takes a quarter fewer instructions
 * of sshd, whose curve25519 is portable code where P-256 is libcrypto's.
 */
const FIRST_KEX = 'ecdh-sha2-nistp256';

/** What else is offered to a node that asks for weak algorithms, behind everything that is better. */
const WEAK = {
  serverHostKey: ['ssh-rsa'],
  kex: ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  cipher: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc'],
} as const;

/** Which algorithms a connection offers. */
export interface AlgorithmChoice {
  /** Types of host keys to ask for first: a server shows only one key, and it should be one that can be checked. */
  readonly first: readonly HostKey['type'][];
  /** Ask for these types only. */
  readonly only?: readonly HostKey['type'][];
  readonly weakAlgorithms: boolean;
}

/** The algorithms for the library, in the order of preference. */
export function algorithmsFor({ first, only, weakAlgorithms }: AlgorithmChoice): Algorithms {
  const all = [...HOST_KEY_ALGORITHMS, ...(weakAlgorithms ? WEAK.serverHostKey : [])];
  const allowed = only === undefined ? all : all.filter((name) => only.includes(hostKeyTypeOf(name)));
  const preferred = first.flatMap((type) => allowed.filter((name) => hostKeyTypeOf(name) === type));
  return {
    serverHostKey: [...new Set([...preferred, ...allowed])],
    // In this order: what is there already is not put before the rest.
    kex: { remove: [FIRST_KEX], prepend: [FIRST_KEX], append: weakAlgorithms ? [...WEAK.kex] : [] },
    ...(weakAlgorithms
      ? { cipher: { append: [...WEAK.cipher], prepend: [], remove: [] } }
      : { hmac: { append: [], prepend: [], remove: [...SHA1_MACS] } }),
  };
}

/** The type of the key that a host key algorithm presents: the key of "rsa-sha2-512" has the type "ssh-rsa". */
export function hostKeyTypeOf(algorithm: string): HostKey['type'] {
  return algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm;
}

/** The types of host keys that a server offers in these algorithms and that a connection can ask for, each once. */
export function hostKeyTypes(algorithms: readonly string[], weakAlgorithms: boolean): HostKey['type'][] {
  const usable: readonly string[] = [...HOST_KEY_ALGORITHMS, ...(weakAlgorithms ? WEAK.serverHostKey : [])];
  return [...new Set(algorithms.filter((name) => usable.includes(name)).map(hostKeyTypeOf))];
}
