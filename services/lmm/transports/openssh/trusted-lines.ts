import type { SshTarget } from '../ssh/ssh-target.js';
import { knownAs } from '../ssh/host-key.js';
import type { KnownHosts } from '../ssh/known-hosts.js';

/**
 * What the known_hosts files say of one host, as the text of a file that is used for this host alone. With pins, only what
 * they cannot overrule.
 */
export function trustedLines(target: SshTarget, known: KnownHosts): string {
  return known
    .entriesOf(...knownAs(target))
    .filter(({ marker }) => marker === '@revoked' || target.pins.length === 0)
    .map(({ marker, key }) => `${marker} * ${key.type} ${key.blob.toString('base64')}\n`.trimStart())
    .join('');
}
