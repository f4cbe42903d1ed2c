import { readFile, stat } from 'node:fs/promises';
import { RuneError } from '../../shared/errors.js';
import type { Credential, CredentialConfig, SecretPlace } from './credentials.js';

/** Key, passphrase and password files larger than this are refused unread. */
const FILE_BYTES_MAX = 64 * 1024;

/** Variables of this process, for secrets that are in one. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Reads what a credential consists of. Rejects with CREDENTIAL_UNUSABLE, naming the file or variable and what is wrong. */
export async function loadCredential(
  name: string,
  config: CredentialConfig,
  env: Env,
): Promise<Omit<Credential, 'version'>> {
  const refuse = (why: string, cause?: unknown): RuneError => {
    const message = `The credential ${JSON.stringify(name)} cannot be used: its ${why}.`;
    return new RuneError('CREDENTIAL_UNUSABLE', message, {}, { cause });
  };
  const read = async (what: string, path: string): Promise<Buffer> => {
    try {
      return await readSmallFile(path);
    } catch (error) {
      throw refuse(`${what} ${path} ${whyUnreadable(error)}`, error);
    }
  };
  const readSecret = async (what: string, place: SecretPlace | undefined): Promise<Buffer | undefined> => {
    if (place === undefined) return undefined;
    if ('file' in place) return withoutNewline(await read(`${what} file`, place.file));
    const value = env[place.variable];
    if (value === undefined || value === '') throw refuse(`${what} variable ${place.variable} is not set`);
    return Buffer.from(value);
  };
  const passphrase = await readSecret('passphrase', config.passphrase);
  return {
    name,
    user: config.user,
    keys: await Promise.all(
      config.keyFiles.map(async (path) => ({ path, content: await read('key file', path), passphrase })),
    ),
    agent: config.agent,
    password: await readSecret('password', config.password),
    client: config.client,
    certificates: await Promise.all(
      (config.certificateFiles ?? []).map(async (path) => ({
        path,
        content: await read('certificate file', path),
      })),
    ),
    gssapi: config.gssapi ?? false,
  };
}

/** Every file that a credential is read from. */
export function filesOf({
  keyFiles,
  certificateFiles = [],
  passphrase,
  password,
}: CredentialConfig): string[] {
  const secrets = [passphrase, password].flatMap((place) =>
    place !== undefined && 'file' in place ? [place.file] : [],
  );
  return [...keyFiles, ...certificateFiles, ...secrets];
}

async function readSmallFile(path: string): Promise<Buffer> {
  const found = await stat(path);
  if (!found.isFile()) throw new Unsuitable('is not a regular file');
  if (found.size > FILE_BYTES_MAX) throw new Unsuitable(`is larger than ${FILE_BYTES_MAX} bytes`);
  return readFile(path);
}

function withoutNewline(content: Buffer): Buffer {
  const end = content.toString('latin1').replace(/\r?\n$/, '').length;
  return content.subarray(0, end);
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
