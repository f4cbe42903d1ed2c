import { RuneError } from '../../../shared/errors.js';
import type { KnownHosts } from './known-hosts.js';
import type { KnownHostsSource } from './known-hosts-files.js';
import type { SshHost } from './ssh-target.js';

/** The known hosts, or HOST_KEY_UNKNOWN if a file cannot be read: then nothing can be verified. */
export async function readKnown(target: SshHost, source: KnownHostsSource): Promise<KnownHosts> {
  try {
    return await source.current();
  } catch (error) {
    const message = `A known_hosts file of this mediator cannot be read, so ${target.node} cannot be verified.`;
    throw new RuneError('HOST_KEY_UNKNOWN', message, { node: target.node }, { cause: error });
  }
}
