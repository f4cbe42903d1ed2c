import ssh2, { type AnyAuthMethod, type BaseAgent, type ParsedKey } from 'ssh2';
import { RuneError } from '../../../shared/errors.js';
import type { Credential, KeyFile } from '../../credentials/credentials.js';
import { parseHostKey } from './host-key-blob.js';
import { sha2Agent, sha2Key } from './sha2-signatures.js';
import { signingKey } from './signing-key.js';

/** One way to log in as a user. */
export interface AuthWay {
  /** What a node must offer for it. */
  readonly needs: 'publickey' | 'password' | 'keyboard-interactive';
  readonly method: AnyAuthMethod;
  /** For messages: type and fingerprint of a key, or the agent's socket and how many keys it holds, or that it is a password. */
  readonly label: string;
}

/** Who logs in, and whether signatures with SHA-1 may be made for it. */
export interface Login {
  readonly user: string;
  readonly weakAlgorithms: boolean;
}

/** Makes credentials ready for use. */
export interface AuthWays {
  /**
   * Throws CREDENTIAL_UNUSABLE if a key file of the credential holds no key that can be used; what is for the system's ssh is
   * left to that.
   */
  check(credential: Credential): void;
  /**
   * The ways to log in, in the order in which they are tried. Rejects with CREDENTIAL_UNUSABLE if any part of the credential
   * cannot be used: half a credential would fail on some nodes only, and later.
   */
  load(credential: Credential, login: Login): Promise<readonly AuthWay[]>;
}

/** How long an ssh-agent may take to list its keys. */
const AGENT_TIMEOUT_MS = 5_000;

/** Makes a loader that parses each key once: decrypting one takes long on purpose. */
export function createAuthWays(): AuthWays {
  const parsed = new WeakMap<KeyFile, ParsedKey>();
  const keyOf = (credential: Credential, file: KeyFile): ParsedKey => {
    const known = parsed.get(file);
    if (known !== undefined) return known;
    const key = signingKey(parsePrivateKey(credential, file));
    parsed.set(file, key);
    return key;
  };
  return {
    check(credential) {
      // The system's ssh knows kinds of keys that the library does not.
      if (credential.client === 'openssh') return;
      for (const file of credential.keys) keyOf(credential, file);
    },
    async load(credential, login) {
      const { user: username, weakAlgorithms } = login;
      const ways = credential.keys.map((file): AuthWay => {
        const parsedKey = keyOf(credential, file);
        const key = weakAlgorithms ? parsedKey : sha2Key(parsedKey);
        return {
          needs: 'publickey',
          method: { type: 'publickey', username, key },
          label: labelOf(parsedKey),
        };
      });
      if (credential.agent !== undefined) ways.push(await agentWay(credential, credential.agent, login));
      if (credential.password !== undefined) ways.push(...passwordWays(credential.password, username));
      if (ways.length === 0) throw unusable(credential, 'it names no key file, no agent and no password');
      return ways;
    },
  };
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
    return `${file.path} is encrypted, and the credential has no passphrase_file or passphrase_variable`;
  }
  if (file.passphrase !== undefined && /integrity check|bad passphrase|bad decrypt/i.test(message)) {
    return `the passphrase does not open ${file.path}`;
  }
  return `${file.path} is not a private key of type ed25519, ecdsa or rsa that can be read`;
}

async function agentWay(credential: Credential, socketPath: string, login: Login): Promise<AuthWay> {
  const agent: BaseAgent = ssh2.createAgent(socketPath);
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
  const signer = login.weakAlgorithms ? agent : sha2Agent(agent);
  return { needs: 'publickey', method: { type: 'agent', username: login.user, agent: signer }, label };
}

/** A password answers the method of that name, or the one question that sshd with PAM asks in its place. */
function passwordWays(password: Buffer, username: string): AuthWay[] {
  const label = 'a password';
  let isAnswered = false;
  return [
    // The types know texts only; the library sends the bytes as they are.
    { needs: 'password', method: { type: 'password', username, password: password.toString() }, label },
    {
      needs: 'keyboard-interactive',
      label,
      method: {
        type: 'keyboard-interactive',
        username,
        prompt(_name, _instructions, _language, prompts, finish) {
          const isPassword = !isAnswered && prompts.length === 1 && prompts[0]?.echo === false;
          isAnswered = true;
          finish(isPassword ? [password.toString()] : prompts.map(() => ''));
        },
      },
    },
  ];
}

function labelOf(key: ParsedKey): string {
  return `${key.type} ${parseHostKey(key.getPublicSSH())?.fingerprint ?? ''}`.trimEnd();
}

function unusable(credential: Credential, why: string, cause?: unknown): RuneError {
  const message = `The credential ${JSON.stringify(credential.name)} cannot be used: ${why}.`;
  return new RuneError('CREDENTIAL_UNUSABLE', message, {}, { cause });
}
