import { RuneError } from '../../../shared/errors.js';
import type { HostKeyId } from './host-key-blob.js';
import { lookupName, type KnownHosts } from './known-hosts.js';

/** Names are looked up without it. */
const PLAIN_PORT = 22;

/** A host key and whom it is supposed to belong to. */
export interface PresentedKey {
  /** The node's name in the inventory. */
  readonly node: string;
  readonly address: string;
  readonly port: number;
  /** The name under which known_hosts holds it, in place of address and port. */
  readonly hostKeyAlias?: string | undefined;
  readonly key: HostKeyId;
  /** Fingerprints from the inventory, "SHA256:…"; empty for none. */
  readonly pins: readonly string[];
  /** Why a @cert-authority line of the host did not vouch for it: a clause that goes on after "does not help: ". */
  readonly notCertified?: string;
}

/**
 * Whether to trust a host key: undefined if so, else the error that says why not. A revoked key is refused whatever is pinned;
 * if anything is pinned, only a pinned key is accepted; else known_hosts must hold the key.
 */
export function refuseHostKey(presented: PresentedKey, known: KnownHosts): RuneError | undefined {
  const {
    node,
    address,
    port,
    key,
    pins,
    notCertified = 'only the transport openssh checks host certificates',
  } = presented;
  const shown = `${node} (${address}:${port}) presents the ${key.type} host key ${key.fingerprint}`;
  const [host, hostPort] = knownAs(presented);
  const verdict = known.verdict(host, hostPort, key);
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
    ? ` The @cert-authority line ${authority.path}:${authority.line} does not help: ${notCertified}.`
    : '';
  const message = `${shown}; ${lookupName(host, hostPort)} is not in ${files} and nothing is pinned.${hint}`;
  return new RuneError('HOST_KEY_UNKNOWN', message, { node });
}

const samePin = (pin: string, fingerprint: string): boolean => pin.replace(/=+$/, '') === fingerprint;

/** Host and port under which known_hosts files hold the keys of a host: an alias stands for itself, whatever the port. */
export function knownAs({
  address,
  port,
  hostKeyAlias,
}: Pick<PresentedKey, 'address' | 'port' | 'hostKeyAlias'>): [host: string, port: number] {
  return hostKeyAlias === undefined ? [address, port] : [hostKeyAlias, PLAIN_PORT];
}
