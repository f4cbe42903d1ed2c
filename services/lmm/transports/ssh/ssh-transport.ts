import { RuneError } from '../../../shared/errors.js';
import { toEps } from '../../../shared/eps.js';
import type { JumpHost, NodeTarget } from '../../../shared/gen/rune/v1/lmm.js';
import { NodeProbe } from '../../../shared/gen/rune/v1/run.js';
import type { Logger } from '../../../shared/logger.js';
import type { CredentialSet, Credentials } from '../../credentials.js';
import { checkCommand, REMOTE_COMMAND } from '../remote-command.js';
import { superviseRun, type NodeProtocolSettings } from '../supervise.js';
import type { StopSignal, Transport } from '../transport.js';
import type { AuthWays } from './auth-ways.js';
import type { SshHost, SshTarget } from './connection.js';
import { lookupName } from './known-hosts.js';
import { readKnownHosts } from './known-hosts-files.js';
import { createLimiter } from './limiter.js';
import { createPool } from './pool.js';
import type { PoolMetrics } from './pool-metrics.js';
import { probeNode } from './probe-node.js';
import { reportPool } from './report-pool.js';
import { DEFAULT_SSH_SETTINGS, type SshSettings } from './ssh-settings.js';

/** Runs plugins over pooled SSH connections. */
export interface SshTransport extends Transport {
  metrics(): PoolMetrics;
}

export interface SshTransportOptions {
  readonly credentials: Credentials;
  readonly authWays: AuthWays;
  /** Paths of known_hosts files; one that is missing counts as empty. */
  readonly knownHosts: readonly string[];
  /** What differs from DEFAULT_SSH_SETTINGS. */
  readonly settings?: Partial<SshSettings>;
  readonly nodeProtocol: NodeProtocolSettings;
  readonly logger: Logger;
}

const DEFAULT_PORT = 22;

/** The SSH transport: strict host keys, named credentials, few handshakes. */
export function createSshTransport(options: SshTransportOptions): SshTransport {
  const settings: SshSettings = { ...DEFAULT_SSH_SETTINGS, ...options.settings };
  const knownHosts = readKnownHosts({
    paths: options.knownHosts,
    recheckMs: settings.filesRecheckMs,
    onFault: (message) => options.logger.warn(message),
  });
  const pool = createPool({
    knownHosts,
    authWays: options.authWays,
    handshakes: createLimiter(settings.handshakesMax),
    settings,
  });
  const stopReporting = reportPool(pool.metrics, settings.reportIntervalMs, options.logger);
  return {
    name: 'ssh',
    async run(command, sink, stop) {
      checkCommand(command);
      const target = sshTarget(command.target, await options.credentials.current());
      const startedMs = performance.now();
      const opening = stopAsError(stop, target.node);
      const limits = { timeoutMs: command.connectTimeoutMs, signal: opening.signal };
      const channel = await pool.open(target, REMOTE_COMMAND, limits).finally(opening.forget);
      const connectMs = performance.now() - startedMs;
      return superviseRun(channel, { command, sink, stop, connectMs, settings: options.nodeProtocol });
    },
    async probe(node, connectTimeoutMs, signal) {
      const credentials = await options.credentials.current();
      const knownHostsName = lookupName(node.address, node.port || DEFAULT_PORT);
      try {
        const host = sshHost(node, wayTo(node, credentials));
        const login = loginTo(host, node, credentials);
        const limits = { timeoutMs: connectTimeoutMs, signal };
        return await probeNode({ host, login }, { pool, knownHosts }, limits);
      } catch (thrown) {
        // The way there cannot be used, so nothing can be seen of the node.
        const error = toEps(RuneError.from(thrown), { source: 'lmm', facts: { node: node.name } });
        return NodeProbe.fromPartial({ error, knownHostsName });
      }
    },
    metrics: pool.metrics,
    async close() {
      stopReporting();
      await pool.close();
    },
  };
}

/** What the node itself and a host on the way have in common. */
type HostFields = JumpHost;

/** Throws CREDENTIAL_* if a credential on the way or that of the node cannot be used, or nothing says who logs in. */
function sshTarget(node: NodeTarget, credentials: CredentialSet): SshTarget {
  const login = loginTo(sshHost(node, wayTo(node, credentials)), node, credentials);
  if (login instanceof RuneError) throw login;
  return login;
}

/** The last host on the way to a node; each connects to the next one. */
function wayTo({ name, jump }: NodeTarget, credentials: CredentialSet): SshTarget | undefined {
  let via: SshTarget | undefined;
  for (const hop of jump) {
    const login = loginTo(sshHost(hop, via), hop, credentials);
    if (login instanceof RuneError) {
      const message = `${name} is reached through ${hop.name}, and that failed: ${login.message}`;
      throw new RuneError(login.name, message, { node: name }, { cause: login });
    }
    via = login;
  }
  return via;
}

/** The host with its login, or why there can be none. */
function loginTo(host: SshHost, fields: HostFields, credentials: CredentialSet): SshTarget | RuneError {
  const { node, address } = host;
  try {
    const credential = credentials.select(fields.credential, { node, address });
    const user = fields.user || credential.user;
    if (user) return { ...host, user, credential };
    const message = `Nothing says as which user to log in to ${node}: neither the inventory nor the credential ${JSON.stringify(credential.name)}.`;
    return new RuneError('CREDENTIAL_UNUSABLE', message, { node });
  } catch (error) {
    return RuneError.from(error);
  }
}

function sshHost(fields: HostFields, via: SshTarget | undefined): SshHost {
  return {
    node: fields.name,
    address: fields.address,
    port: fields.port || DEFAULT_PORT,
    pins: fields.hostKeyFingerprints,
    weakAlgorithms: fields.weakAlgorithms,
    via,
  };
}

/** The stop signal, whose reason is a StopReason, as one whose reason is the error of a run that never began. */
function stopAsError(stop: StopSignal, node: string): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController();
  const onStop = (): void =>
    controller.abort(
      new RuneError('RUN_CANCELLED', `The run was stopped before it reached ${node}.`, { node }),
    );
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  return { signal: controller.signal, forget: () => stop.removeEventListener('abort', onStop) };
}
