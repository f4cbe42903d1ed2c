import { givenUp } from './connect-errors.js';
import { knownAs, refuseHostKey } from './host-key.js';
import {
  failedBefore,
  type Connect,
  type ConnectContext,
  type ConnectLimits,
  type ConnectProgress,
  type LookResult,
} from './connection.js';
import { handshake } from './handshake.js';
import type { KnownHosts } from './known-hosts.js';
import { callHost, type Link } from './link.js';
import { readKnown } from './read-known.js';
import type { SshHost } from './ssh-target.js';

/** Connects with the library ssh2. */
export const connect: Connect = async (target, context, limits, progress) => {
  const startedMs = performance.now();
  try {
    // Before anything else, so that a credential that cannot be used costs no connection.
    const { user, weakAlgorithms } = target;
    const ways = await context.authWays.load(target.credential, { user, weakAlgorithms });
    const known = await readKnown(target, context.knownHosts);
    const leftMs = leftOf(limits, startedMs);
    if (limits.signal.aborted) throw givenUp(target);
    progress.phase = 'dialling';
    const link =
      target.via === undefined ? undefined : await context.forward(target, target.via, { ...limits, leftMs });
    return await handshake({
      target,
      context,
      link: link ?? callHost(target.address, target.port),
      login: { user, ways, credential: target.credential.name },
      algorithms: { first: typesToAskFor(target, known), weakAlgorithms },
      refuse: (key) => refuseHostKey({ ...target, key }, known),
      limits: { ...limits, leftMs: leftOf(limits, startedMs) },
      progress,
    });
  } catch (error) {
    return failedBefore(error);
  }
};

/** Connects until the node has shown a host key of one of these types, and no further. Never rejects. */
export async function lookAtHostKey(
  target: SshHost,
  types: readonly string[] | undefined,
  context: ConnectContext,
  limits: ConnectLimits,
  progress: ConnectProgress,
): Promise<LookResult> {
  const startedMs = performance.now();
  if (limits.signal.aborted) return failedBefore(givenUp(target));
  let link: Link | undefined;
  try {
    if (target.via !== undefined) link = await context.forward(target, target.via, limits);
  } catch (error) {
    return failedBefore(error);
  }
  const { weakAlgorithms } = target;
  const result = await handshake({
    target,
    context,
    link: link ?? callHost(target.address, target.port),
    login: undefined,
    algorithms: { first: [], weakAlgorithms, ...(types === undefined ? {} : { only: types }) },
    refuse: () => givenUp(target),
    limits: { ...limits, leftMs: leftOf(limits, startedMs) },
    progress,
  });
  if (result.ok) return failedBefore(new Error('a login that nobody asked for'));
  const { hostKey, offered } = result;
  return hostKey !== undefined && 'blob' in hostKey ? { ok: true, hostKey, offered } : result;
}

const leftOf = ({ leftMs }: ConnectLimits, startedMs: number): number =>
  Math.max(1, leftMs - (performance.now() - startedMs));

/** Types by which the host is known come first, those of pinned keys before all. */
function typesToAskFor(target: SshHost, known: KnownHosts): string[] {
  const keys = known.keysOf(...knownAs(target));
  const pinned = keys.filter((key) => target.pins.includes(key.fingerprint));
  return [...pinned, ...keys].map((key) => key.type);
}
