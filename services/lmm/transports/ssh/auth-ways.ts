import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import type { Credential, KeyFile } from '../../credentials.js';
import { parseHostKey } from './host-key-blob.js';

/** One way to log in as a user. */
export interface AuthWay {
  readonly method: AnyAuthMethod;
  /** For messages: type and fingerprint of a key, or the agent's socket and how many keys it holds. */
  readonly label: string;
}

/**
 * Makes a credential ready for use. Rejects with CREDENTIAL_UNUSABLE if any part of it cannot be used: half a credential
 * would fail on some nodes only, and later.
 */
export type LoadAuthWays = (credential: Credential, user: string) => Promise<readonly AuthWay[]>;

/** How long an ssh-agent may take to list its keys. */
const AGENT_TIMEOUT_MS = 5_000;

/** Makes a loader that parses each key file once: decrypting one takes long on purpose. */
export function createAuthWaysLoader(): LoadAuthWays {
  const parsed = new Map<string, { readonly file: KeyFile; readonly key: ParsedKey }>();
  const keyOf = (credential: Credential, file: KeyFile): ParsedKey => {
    const known = parsed.get(file.path);
    if (known !== undefined && sameFile(known.file, file)) return known.key;
    const key = parsePrivateKey(credential, file);
    parsed.set(file.path, { file, key });
    return key;
  };
  return async (credential, user) => {
    const ways: AuthWay[] = [];
    for (const file of await credential.readKeys()) {
      const key = keyOf(credential, file);
      ways.push({ method: { type: 'publickey', username: user, key }, label: labelOf(key) });
    }
    if (credential.agent !== undefined) ways.push(await agentWay(credential, credential.agent, user));
    if (ways.length === 0) throw unusable(credential, 'it names no key file and no agent');
    return ways;
  };
}

function sameFile(a: KeyFile, b: KeyFile): boolean {
  if (a.content !== b.content) return false;
  return a.passphrase === undefined || b.passphrase === undefined
    ? a.passphrase === b.passphrase
    : a.passphrase.equals(b.passphrase);
}

function parsePrivateKey(credential: Credential, file: KeyFile): ParsedKey {
  const [key] = [ssh2.utils.parseKey(file.content, file.passphrase)].flat();
  if (key === undefined || key instanceof Error)
    throw unusable(credential, whyUnparsable(file, key?.message ?? ''));
  if (!key.isPrivateKey()) throw unusable(credential, `${file.path} is a public key, not a private one`);
  return key;
}

/** Our own words: the parser's message could quote the file. */
function whyUnparsable(file: KeyFile, message: string): string {
  if (/no passphrase given/i.test(message)) {
    return `${file.path} is encrypted, and the credential has no passphrase_file`;
  }
  if (file.passphrase !== undefined && /integrity check|bad passphrase|bad decrypt/i.test(message)) {
    return `the passphrase does not open ${file.path}`;
  }
  return `${file.path} is not a private key of type ed25519, ecdsa or rsa that can be read`;
}

async function agentWay(credential: Credential, socketPath: string, user: string): Promise<AuthWay> {
  const agent = ssh2.createAgent(socketPath);
  const count = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(unusable(credential, `the ssh-agent at ${socketPath} does not answer`)),
      AGENT_TIMEOUT_MS,
    );
    agent.getIdentities((error, keys) => {
      clearTimeout(timer);
      if (error) reject(unusable(credential, `no ssh-agent answers at ${socketPath}`, error));
      else resolve(keys?.length ?? 0);
    });
  });
  if (count === 0) throw unusable(credential, `the ssh-agent at ${socketPath} holds no key`);
  const label = `${count} ${count === 1 ? 'key' : 'keys'} of the ssh-agent at ${socketPath}`;
  return { method: { type: 'agent', username: user, agent }, label };
}

function labelOf(key: ParsedKey): string {
  return `${key.type} ${parseHostKey(key.getPublicSSH())?.fingerprint ?? ''}`.trimEnd();
}

function unusable(credential: Credential, why: string, cause?: unknown): RuneError {
  const message = `The credential ${JSON.stringify(credential.name)} cannot be used: ${why}.`;
  return new RuneError('CREDENTIAL_UNUSABLE', message, {}, { cause });
}
