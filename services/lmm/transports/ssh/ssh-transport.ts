import { RuneError } from '../../../shared/errors.js';
import { toEps } from '../../../shared/messages/eps.js';
import { NodeProbe } from '../../../shared/gen/rune/v1/run.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Credentials } from '../../credentials/credentials.js';
import type { Identities } from '../../credentials/identities.js';
import { checkCommand } from '../check-command.js';
import { libraryOfSpare } from '../encode-upload.js';
import type { SentLibrary } from '../sent-library.js';
import { forLogin, remoteCommand } from '../remote-command.js';
import { superviseRun, type NodeProtocolSettings } from '../supervise.js';
import type { NodeEnding, StopSignal, Transport } from '../transport.js';
import type { AuthWays } from './auth-ways.js';
import { connect } from './connect.js';
import type { Connect } from './connection.js';
import { readKnownHosts } from './known-hosts-files.js';
import { createLimiter } from '../limiter.js';
import { createPool, type OpenChannel } from './pool.js';
import type { PoolMetrics } from './pool-metrics.js';
import { probeNode } from './probe-node.js';
import { reportPool } from './report-pool.js';
import { resolveTarget, type TargetLookup } from './resolve-target.js';
import { parseSshConfig, type SshConfig } from './ssh-config.js';
import type { SshConfigSource } from './ssh-config-files.js';
import { DEFAULT_SSH_SETTINGS, type SshSettings } from './ssh-settings.js';

/** Runs plugins over pooled SSH connections. */
export interface SshTransport extends Transport {
  metrics(): PoolMetrics;
}

export interface SshTransportOptions {
  /** Default: "ssh". */
  readonly name?: string;
  /** How connections are made. Default: with the library ssh2. */
  readonly connect?: Connect;
  readonly credentials: Credentials;
  readonly authWays: AuthWays;
  readonly identities: Identities;
  /** What completes the inventory; absent for nothing. */
  readonly sshConfig?: SshConfigSource;
  /** Paths of known_hosts files; one that is missing counts as empty. */
  readonly knownHosts: readonly string[];
  /** What differs from DEFAULT_SSH_SETTINGS. */
  readonly settings?: Partial<SshSettings>;
  readonly nodeProtocol: NodeProtocolSettings;
  readonly logger: Logger;
}

/** The SSH transport: strict host keys, named credentials, few handshakes. */
export function createSshTransport(options: SshTransportOptions): SshTransport {
  const { name = 'ssh', logger } = options;
  const settings: SshSettings = { ...DEFAULT_SSH_SETTINGS, ...options.settings };
  const nothing = parseSshConfig([], '');
  const sshConfig = async (): Promise<SshConfig> => (await options.sshConfig?.current()) ?? nothing;
  const lookup = async (): Promise<TargetLookup> => ({
    credentials: await options.credentials.current(),
    config: await sshConfig(),
    identities: options.identities,
  });
  const knownHosts = readKnownHosts({
    paths: async () => [...options.knownHosts, ...(await sshConfig()).knownHostsFiles],
    recheckMs: settings.filesRecheckMs,
    onFault: (message) => logger.warn(message),
  });
  const pool = createPool(
    {
      knownHosts,
      authWays: options.authWays,
      handshakes: createLimiter(settings.handshakesMax),
      settings,
    },
    options.connect ?? connect,
  );
  const stopReporting = reportPool(pool.metrics, { name, intervalMs: settings.reportIntervalMs, logger });
  return {
    name,
    async run(asked, sink, stop) {
      checkCommand(asked);
      const { login } = await resolveTarget(asked.target, await lookup());
      if (login instanceof RuneError) throw login;
      const command = forLogin(asked, login.user);
      const startedMs = performance.now();
      const { connectTimeoutMs } = command;
      const open = (timeoutMs: number, spareOf?: SentLibrary): Promise<OpenChannel> => {
        const opening = stopAsError(stop, login.node);
        const limits = { timeoutMs, signal: opening.signal, spareOf };
        return pool.open(login, remoteCommand(command), limits).finally(opening.forget);
      };
      const supervise = async (
        { channel, spare, worked }: OpenChannel,
        nodeProtocol = options.nodeProtocol,
      ): Promise<NodeEnding> => {
        const connectMs = performance.now() - startedMs;
        const run = { command, sink, stop, connectMs, settings: nodeProtocol, spare };
        const ending = await superviseRun(channel, run);
        if (ending.kind === 'ended') worked();
        return ending;
      };
      const first = await open(connectTimeoutMs, libraryOfSpare(command));
      if (first.spare === undefined) return supervise(first);
      // What a spare shell must still do is little, and one that does not answer leaves time for another connection.
      const beginTimeoutMs = Math.min(settings.channelOpenTimeoutMs, connectTimeoutMs / 2);
      try {
        return await supervise(first, { ...options.nodeProtocol, beginTimeoutMs });
      } catch (thrown) {
        // With this error nothing ran; it may have taken all of the time to say so.
        const isLate = performance.now() - startedMs > connectTimeoutMs;
        if (RuneError.from(thrown).name !== 'NODE_SETUP_FAILED' || isLate) throw thrown;
        const { kind } = await first.channel.ended;
        if (kind === 'lost') first.retire();
        return supervise(await open(connectTimeoutMs / 2));
      }
    },
    async probe(node, connectTimeoutMs, signal) {
      try {
        const limits = { timeoutMs: connectTimeoutMs, signal };
        return await probeNode(await resolveTarget(node, await lookup()), { pool, knownHosts }, limits);
      } catch (thrown) {
        // The way there cannot be used, so nothing can be seen of the node.
        const error = toEps(RuneError.from(thrown), { source: 'lmm', facts: { node: node.name } });
        return NodeProbe.fromPartial({ error });
      }
    },
    metrics: pool.metrics,
    async close() {
      stopReporting();
      await pool.close();
    },
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
