import { toDuration } from '../../../shared/messages/duration.js';
import { toEps } from '../../../shared/messages/eps.js';
import { RuneError } from '../../../shared/errors.js';
import { NodeProbe } from '../../../shared/gen/rune/v1/run.js';
import { hostKeyTypes } from './algorithms.js';
import type { ConnectResult, LookResult } from './connection.js';
import { readKnown } from './read-known.js';
import { knownAs, refuseHostKey } from './host-key.js';
import type { HostKey, HostKeyId } from './host-key-blob.js';
import { lookupName } from './known-hosts.js';
import type { KnownHostsSource } from './known-hosts-files.js';
import type { ProbeLimits, SshPool } from './pool.js';
import type { ResolvedTarget } from './resolve-target.js';

/** What a probe works with. */
export interface ProbeContext {
  readonly pool: Pick<SshPool, 'probe' | 'look'>;
  readonly knownHosts: KnownHostsSource;
}

/**
 * Connects to a node, tries the login, and asks for every host key that the node has, each in a handshake of its own. The keys
 * are told even if no login is possible. Never rejects.
 */
export async function probeNode(
  { host, login }: ResolvedTarget,
  { pool, knownHosts }: ProbeContext,
  { timeoutMs, signal }: ProbeLimits,
): Promise<NodeProbe> {
  const startedMs = performance.now();
  const left = (): ProbeLimits => ({
    timeoutMs: Math.max(1, Math.round(timeoutMs - (performance.now() - startedMs))),
    signal,
  });

  const tried = login instanceof RuneError ? undefined : await pool.probe(login, { timeoutMs, signal });
  if (tried?.ok === true) tried.connection.end();
  const connectMs = performance.now() - startedMs;
  const error = login instanceof RuneError ? login : tried?.ok === false ? tried.error : undefined;

  // A login that failed before the node was asked anything says nothing of its keys.
  const met = tried !== undefined && wasReached(tried) ? keyOf(tried) : undefined;
  // What another program has met it only names.
  const isComplete = tried !== undefined && wasReached(tried) && (met === undefined || 'blob' in met);
  const first = isComplete ? tried : await pool.look(host, undefined, left());
  const presented = met ?? keyOf(first);
  const types = hostKeyTypes(first.offered, host.weakAlgorithms).filter(
    (type) => type !== keyOf(first)?.type,
  );
  const others = await Promise.all(types.map((type) => pool.look(host, [type], left())));
  const keys = [first, ...others].map(keyOf).filter((key) => key !== undefined && 'blob' in key);

  // Where known_hosts cannot be read, no key is accepted, and the error says why.
  const known = await readKnown(host, knownHosts).catch(() => undefined);
  const isAccepted = (key: HostKeyId): boolean =>
    (tried?.ok === true && key.fingerprint === met?.fingerprint) ||
    (known !== undefined && refuseHostKey({ ...host, key }, known) === undefined);
  const isRevoked = (key: HostKeyId): boolean => known?.verdict(...knownAs(host), key).kind === 'revoked';
  return NodeProbe.fromPartial({
    hostKeyFingerprint: presented?.fingerprint ?? '',
    hostKeyType: presented?.type ?? '',
    hostKeyAccepted: presented !== undefined && isAccepted(presented),
    authenticated: tried?.ok === true,
    connect: toDuration(connectMs),
    error: error && toEps(error, { source: 'lmm', facts: { node: host.node } }),
    hostKeys: keys.map((key) => ({
      type: key.type,
      fingerprint: key.fingerprint,
      publicKey: key.blob.toString('base64'),
      accepted: isAccepted(key),
      revoked: isRevoked(key),
    })),
    knownHostsName: lookupName(...knownAs(host)),
  });
}

function keyOf(result: ConnectResult | LookResult): HostKeyId | HostKey | undefined {
  return 'connection' in result ? result.connection.hostKey : result.hostKey;
}

/** Whether the attempt got as far as the node, or failed on its way there. */
function wasReached(result: ConnectResult): boolean {
  if (result.ok || result.hostKey !== undefined) return true;
  return !/^(CREDENTIAL|HOST_KEY)_/.test(result.error.name);
}
