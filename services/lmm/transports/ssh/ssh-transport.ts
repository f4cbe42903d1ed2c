import { RuneError } from '../../../shared/errors.js';
import type { NodeTarget } from '../../../shared/gen/rune/v1/lmm.js';
import type { Logger } from '../../../shared/logger.js';
import type { CredentialSet, Credentials } from '../../credentials.js';
import { checkCommand, REMOTE_COMMAND } from '../remote-command.js';
import { superviseRun, type NodeProtocolSettings } from '../supervise.js';
import type { StopSignal, Transport } from '../transport.js';
import type { AuthWays } from './auth-ways.js';
import type { ConnectContext, SshHost, SshTarget } from './connection.js';
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
  const context: ConnectContext = {
    knownHosts,
    authWays: options.authWays,
    handshakes: createLimiter(settings.handshakesMax),
    settings,
  };
  const pool = createPool(context);
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
      let login: SshTarget | RuneError;
      try {
        login = sshTarget(node, credentials);
      } catch (error) {
        login = RuneError.from(error);
      }
      const limits = { timeoutMs: connectTimeoutMs, signal };
      return probeNode({ host: sshHost(node), login }, { pool, knownHosts }, limits);
    },
    metrics: pool.metrics,
    async close() {
      stopReporting();
      await pool.close();
    },
  };
}

/** Throws CREDENTIAL_* if the credential that the node names is missing, not allowed for it, or leaves the user open. */
function sshTarget(node: NodeTarget, credentials: CredentialSet): SshTarget {
  const { name, address } = node;
  const credential = credentials.select(node.credential, { node: name, address });
  const user = node.user || credential.user;
  if (!user) {
    const message = `Nothing says as which user to log in to ${name}: neither the inventory nor the credential ${JSON.stringify(credential.name)}.`;
    throw new RuneError('CREDENTIAL_UNUSABLE', message, { node: name });
  }
  return { ...sshHost(node), user, credential };
}

function sshHost(node: NodeTarget): SshHost {
  return {
    node: node.name,
    address: node.address,
    port: node.port || DEFAULT_PORT,
    pins: node.hostKeyFingerprints,
    weakAlgorithms: node.weakAlgorithms,
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
