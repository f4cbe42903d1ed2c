import { readFile, stat } from 'node:fs/promises';
import { RuneError } from '../shared/errors.js';
import { matchesHostPatterns } from './transports/ssh/host-pattern.js';

/** One credential of the mediator's configuration. Only paths: the secrets stay in their files. */
export interface CredentialConfig {
  /** Login for nodes whose inventory entry names none. */
  readonly user?: string;
  /** Private keys, tried in this order. */
  readonly keyFiles: readonly string[];
  /** Holds the passphrase of the encrypted keys; a newline at its end is not part of it. */
  readonly passphraseFile?: string;
  /** Path of an ssh-agent's socket; its keys are tried after the files. */
  readonly agent?: string;
  /** Addresses this credential may be used for: names, `*`, `?`, `!not-this`. Absent for all. */
  readonly allowedHosts?: readonly string[];
}

/** A private key file as it was read. Never put one into a log or an error. */
export interface KeyFile {
  readonly path: string;
  readonly content: Buffer;
  readonly passphrase: Buffer | undefined;
}

/** A credential that may be used for the node it was selected for. */
export interface Credential {
  readonly name: string;
  readonly user: string | undefined;
  readonly agent: string | undefined;
  /**
   * Reads the key files, again whenever one has changed; the same objects as before if not. Rejects with CREDENTIAL_UNUSABLE,
   * naming the file and what is wrong with it.
   */
  readKeys(): Promise<readonly KeyFile[]>;
}

/** The mediator's credentials by name. */
export interface Credentials {
  /**
   * The credential of that name, or `default` for an empty name. Throws CREDENTIAL_UNUSABLE if there is none and
   * CREDENTIAL_NOT_ALLOWED if its allowedHosts do not hold the address.
   */
  select(name: string, about: { readonly node: string; readonly address: string }): Credential;
}

/** What a node uses whose inventory entry names no credential. */
export const DEFAULT_CREDENTIAL = 'default';

/** Key and passphrase files larger than this are refused unread. */
const FILE_BYTES_MAX = 64 * 1024;

/** Makes the credentials of a mediator from its configuration: credential name to what it consists of. */
export function createCredentials(config: Readonly<Record<string, CredentialConfig>>): Credentials {
  const entries = new Map(Object.entries(config));
  const readCached = cachedReader();
  return {
    select(name, { node, address }) {
      const wanted = name === '' ? DEFAULT_CREDENTIAL : name;
      const entry = entries.get(wanted);
      if (entry === undefined) {
        const message = `This mediator has no credential ${JSON.stringify(wanted)}, which ${node} needs.`;
        throw new RuneError('CREDENTIAL_UNUSABLE', message, { node });
      }
      if (entry.allowedHosts !== undefined && !matchesHostPatterns(entry.allowedHosts, address)) {
        const message = `The credential ${JSON.stringify(wanted)} may not be used for ${node} (${address}): no pattern of its allowed_hosts fits.`;
        throw new RuneError('CREDENTIAL_NOT_ALLOWED', message, { node });
      }
      return {
        name: wanted,
        user: entry.user,
        agent: entry.agent,
        readKeys: () => readKeys(wanted, entry, readCached),
      };
    },
  };
}

/** Resolves with the content of a file: the same Buffer as long as the file has not changed. */
type ReadCached = (path: string) => Promise<Buffer>;

async function readKeys(
  name: string,
  entry: CredentialConfig,
  read: ReadCached,
): Promise<readonly KeyFile[]> {
  const readOrRefuse = async (what: string, path: string): Promise<Buffer> => {
    try {
      return await read(path);
    } catch (error) {
      const message = `The credential ${JSON.stringify(name)} cannot be used: its ${what} ${path} ${whyUnreadable(error)}.`;
      throw new RuneError('CREDENTIAL_UNUSABLE', message, {}, { cause: error });
    }
  };
  const passphrase =
    entry.passphraseFile === undefined
      ? undefined
      : withoutNewline(await readOrRefuse('passphrase file', entry.passphraseFile));
  return Promise.all(
    entry.keyFiles.map(async (path) => ({ path, content: await readOrRefuse('key file', path), passphrase })),
  );
}

function withoutNewline(content: Buffer): Buffer {
  const end = content.toString('latin1').replace(/\r?\n$/, '').length;
  return content.subarray(0, end);
}

function cachedReader(): ReadCached {
  const cache = new Map<string, { readonly stamp: string; readonly content: Buffer }>();
  return async (path) => {
    const found = await stat(path);
    if (!found.isFile()) throw new Unsuitable('is not a regular file');
    if (found.size > FILE_BYTES_MAX) throw new Unsuitable(`is larger than ${FILE_BYTES_MAX} bytes`);
    const stamp = `${found.ino} ${found.size} ${found.mtimeMs}`;
    const cached = cache.get(path);
    if (cached?.stamp === stamp) return cached.content;
    const content = await readFile(path);
    cache.set(path, { stamp, content });
    return content;
  };
}

/** A file that exists and is not what it should be; the message continues a sentence. */
class Unsuitable extends Error {}

function whyUnreadable(error: unknown): string {
  if (error instanceof Unsuitable) return error.message;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this process';
  return `cannot be read (${typeof code === 'string' ? code : 'for an unknown reason'})`;
}
