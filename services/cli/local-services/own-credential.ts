import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The names that ssh itself looks for, the best kind of key first. */
const KEY_NAMES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
const OPENSSH_MAGIC = 'openssh-key-v1\0';

/** A credential as the mediator's setting `credentials` takes it. */
export interface OwnCredential {
  readonly key_files?: readonly string[];
  readonly agent?: string;
}

/** Whether a private key can be read without its passphrase; text that is no private key cannot. */
export function isPlainKey(text: string): boolean {
  const [, kind, body = ''] = /^-----BEGIN ([A-Z ]*)PRIVATE KEY-----\s([^-]*)/.exec(text) ?? [];
  if (kind === undefined || kind === 'ENCRYPTED ') return false;
  if (kind !== 'OPENSSH ') return !text.includes('ENCRYPTED');
  const bytes = Buffer.from(body, 'base64').toString('latin1');
  // The name of the cipher follows, behind its length of four bytes.
  return bytes.startsWith('none', OPENSSH_MAGIC.length + 4);
}

/**
 * The keys that the person logs in with: those of ~/.ssh that need no passphrase, and the agent. Undefined if there are none.
 * A key that cannot be used would make the mediator refuse all of them.
 */
export async function ownCredential(
  env: Readonly<Record<string, string | undefined>>,
): Promise<OwnCredential | undefined> {
  const folder = join(env['HOME'] ?? homedir(), '.ssh');
  const keyFiles: string[] = [];
  for (const file of KEY_NAMES.map((name) => join(folder, name))) {
    const text = await readFile(file, 'latin1').catch(() => ''); // Not there, or not for this user.
    if (isPlainKey(text)) keyFiles.push(file);
  }
  const socket = env['SSH_AUTH_SOCK'] ?? '';
  const isAgent =
    socket !== '' &&
    (await stat(socket).then(
      (found) => found.isSocket(),
      () => false,
    ));
  if (keyFiles.length === 0 && !isAgent) return undefined;
  return { ...(keyFiles.length === 0 ? {} : { key_files: keyFiles }), ...(isAgent ? { agent: socket } : {}) };
}
