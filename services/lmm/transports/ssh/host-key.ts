import { RuneError } from '../../../shared/errors.js';
import type { HostKey } from './host-key-blob.js';
import { lookupName, type KnownHosts } from './known-hosts.js';

/** A host key and whom it is supposed to belong to. */
export interface PresentedKey {
  /** The node's name in the inventory. */
  readonly node: string;
  readonly address: string;
  readonly port: number;
  readonly key: HostKey;
  /** Fingerprints from the inventory, "SHA256:…"; empty for none. */
  readonly pins: readonly string[];
}

/**
 * Whether to trust a host key: undefined if so, else the error that says why not. A revoked key is refused whatever is pinned;
 * if anything is pinned, only a pinned key is accepted; else known_hosts must hold the key.
 */
export function refuseHostKey(presented: PresentedKey, known: KnownHosts): RuneError | undefined {
  const { node, address, port, key, pins } = presented;
  const shown = `${node} (${address}:${port}) presents the ${key.type} host key ${key.fingerprint}`;
  const verdict = known.verdict(address, port, key);
  if (verdict.kind === 'revoked') {
    return new RuneError('HOST_KEY_REVOKED', `${shown}, which ${verdict.path}:${verdict.line} revokes.`, {
      node,
    });
  }
  if (pins.length > 0) {
    if (pins.some((pin) => samePin(pin, key.fingerprint))) return undefined;
    return new RuneError('HOST_KEY_CHANGED', `${shown}; the inventory pins ${pins.join(', ')}.`, { node });
  }
  if (verdict.kind === 'match') return undefined;
  if (verdict.kind === 'changed') {
    const before = `${verdict.known.type} ${verdict.known.fingerprint}`;
    const message = `${shown}; ${verdict.path}:${verdict.line} holds ${before}.`;
    return new RuneError('HOST_KEY_CHANGED', message, { node });
  }
  const files =
    known.paths.length > 0 ? known.paths.join(', ') : 'any file (no known_hosts file is configured)';
  const authority = verdict.certificateAuthority;
  const hint = authority
    ? ` The @cert-authority line ${authority.path}:${authority.line} does not help: host certificates are not supported.`
    : '';
  const message = `${shown}; ${lookupName(address, port)} is not in ${files} and nothing is pinned.${hint}`;
  return new RuneError('HOST_KEY_UNKNOWN', message, { node });
}

const samePin = (pin: string, fingerprint: string): boolean => pin.replace(/=+$/, '') === fingerprint;
