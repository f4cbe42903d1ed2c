import { createHash } from 'node:crypto';

/** What a public key is known by. */
export interface HostKeyId {
  /** Such as "ssh-ed25519". */
  readonly type: string;
  /** "SHA256:…", as OpenSSH prints it. */
  readonly fingerprint: string;
}

/** A public key as SSH sends it. */
export interface HostKey extends HostKeyId {
  readonly blob: Buffer;
}

const TYPE_LENGTH_MAX = 64;

/** Reads the key type that every SSH public key begins with; undefined if the bytes are not one. */
export function parseHostKey(blob: Buffer): HostKey | undefined {
  if (blob.length < 4) return undefined;
  const length = blob.readUInt32BE(0);
  if (length === 0 || length > TYPE_LENGTH_MAX || blob.length <= 4 + length) return undefined;
  const type = blob.toString('latin1', 4, 4 + length);
  if (!/^[a-zA-Z0-9@.-]+$/.test(type)) return undefined;
  const digest = createHash('sha256').update(blob).digest('base64');
  return { type, blob, fingerprint: `SHA256:${digest.replace(/=+$/, '')}` };
}
