import ssh2, { type AnyAuthMethod, type BaseAgent, type ParsedKey } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import { settledWithin } from '../../../shared/settled-within.js';
import type { Credential, KeyFile } from '../../credentials.js';
import { parseHostKey } from './host-key-blob.js';

/** One way to log in. */
export interface AuthWay {
  readonly method: AnyAuthMethod;
  /** For messages: type and fingerprint of the key, or the agent's socket and how many keys it holds. */
  readonly label: string;
}

/** Reads and parses a credential's keys. Remembers what it parsed: decrypting a key takes long on purpose. */
export type LoadAuthWays = (credential: Credential, user: string) => Promise<readonly AuthWay[]>;
