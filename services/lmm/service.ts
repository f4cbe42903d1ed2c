import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '../shared/messages/ids.js';
import { LmmServiceService } from '../shared/gen/rune/v1/lmm.js';
import { RegistryServiceService, type ConnectionLoad } from '../shared/gen/rune/v1/registry.js';
import { createRpcClient } from '../shared/rpc/rpc-client.js';
import { bindService } from '../shared/rpc/rpc-binding.js';
import { startRpcServer } from '../shared/rpc/rpc-server.js';
import type { RunningService, ServiceTools } from '../shared/process/run-service.js';
import { createSchemaCompiler } from '../shared/schema/schema.js';
import { clientTlsOf, serverTlsOf } from '../shared/settings/service-settings.js';
import type { SettingsOf } from '../shared/settings/settings.js';
import { startMetrics } from '../shared/metrics/start-metrics.js';
import { beginAtZero } from './begin-at-zero.js';
import { createBlobCache } from './blob-cache.js';
import type { LMM_SETTINGS } from './config.js';
import { lmmHandlers } from './handlers.js';
import { createIdentities } from './credentials/identities.js';
import { readSshConfig } from './transports/ssh/ssh-config-files.js';
import { keepRegistered, type RegistryClient } from './registration/keep-registered.js';
import { createMediator } from './mediate.js';
import { LMM_METRICS } from './metrics.js';
import { readLmmMetrics } from './read-metrics.js';
import { registrationOf } from './registration/registration-of.js';
import { watchCredentials } from './credentials/watch-credentials.js';
import { createAuthWays } from './transports/ssh/auth-ways.js';
import { connectByCredential } from './transports/openssh/connect-by-credential.js';
import { createOpensshConnections } from './transports/openssh/openssh-connections.js';
import { findSsh } from './transports/openssh/ssh-program.js';
import { createLocalTransport } from './transports/local.js';
import { sshSettingsOf } from './transports/ssh/ssh-settings.js';
import { connect } from './transports/ssh/connect.js';
import { createSshTransport } from './transports/ssh/ssh-transport.js';
import { measuredApi } from './transports/ssm/measured-api.js';
import { SYSTEM_CLOCK } from './transports/ssm/rate-budget.js';
import { createSdkApi } from './transports/ssm/sdk-api.js';
import { createSsmTransport } from './transports/ssm/ssm-transport.js';
import { DEFAULT_NODE_PROTOCOL } from './transports/supervise.js';
import type { Transport } from './transports/transport.js';

/** The settings of a mediator, read. */
export type LmmSettings = SettingsOf<typeof LMM_SETTINGS>;

const HOME_PREFIX = '~/';
const LOG_BYTES_MAX = 4 * 1024 ** 3;
/** How long the last events of runs have to reach their readers when the service stops. */
const LAST_EVENTS_MS = 2_000;
const OUTPUT_BYTES_MAX = 3 * 1024 ** 2;

const expandHome = (path: string): string =>
  path.startsWith(HOME_PREFIX) ? join(homedir(), path.slice(HOME_PREFIX.length)) : path;

/** How orchestrators are dialled. */
function registryConnect(settings: LmmSettings): (address: string) => RegistryClient {
  const tls = clientTlsOf(settings.lomTlsCaFile, settings.lomTlsCertFile, settings.lomTlsKeyFile);
  return (address) =>
    createRpcClient(RegistryServiceService, { address, ...(tls === undefined ? {} : { tls }) });
}

/** Composes a mediator from its settings and starts to serve. */
export async function startLmm(
  settings: LmmSettings,
  tools: ServiceTools<Pick<LmmSettings, 'credentials'>>,
): Promise<RunningService> {
  const { logger } = tools;
  const instanceId = newId();
  const metrics = await startMetrics(LMM_METRICS, settings, logger);
  const { meter } = metrics;
  const authWays = createAuthWays();
  const credentials = watchCredentials({
    configs: settings.credentials,
    reread: () => tools.reread().credentials,
    configFile: tools.configFile,
    env: tools.env,
    check: authWays.check,
    recheckMs: settings.filesRecheckMs,
    logger,
  });
  // So that what cannot be used is in the log before a run needs it.
  await credentials.current();
  tools.onHangup(() => void credentials.reload());
  const sshConfig = await readSshConfig({
    paths: settings.sshConfig.map(expandHome),
    home: homedir(),
    recheckMs: settings.filesRecheckMs,
    logger,
  });
  const sshOptions = {
    credentials,
    authWays,
    identities: createIdentities({ check: authWays.check, recheckMs: settings.filesRecheckMs, logger }),
    sshConfig,
    knownHosts: settings.knownHosts.map(expandHome),
    settings: sshSettingsOf(settings),
    nodeProtocol: DEFAULT_NODE_PROTOCOL,
    logger,
  };
  const found = await findSsh(settings.opensshProgram, tools.env);
  if ('reason' in found) {
    const isWanted = Object.values(settings.credentials).some(({ client }) => client === 'openssh');
    const message = `the transport openssh is not offered: ${found.reason}`;
    if (isWanted) logger.warn(message);
    else logger.info(message);
  }
  const openssh =
    'reason' in found
      ? undefined
      : createOpensshConnections({
          program: found.program,
          configFile: settings.opensshConfigFile,
          directoryBase: tmpdir(),
          env: tools.env,
        });
  const ssh = createSshTransport({
    ...sshOptions,
    connect: connectByCredential({ library: connect, openssh: openssh?.connect }),
  });
  const alwaysOpenssh =
    openssh &&
    createSshTransport({
      ...sshOptions,
      name: 'openssh',
      connect: openssh.connect,
      settings: { ...sshOptions.settings, connectionsMax: settings.opensshConnectionsMax },
    });
  const local = createLocalTransport({ settings: DEFAULT_NODE_PROTOCOL });
  const ssm = createSsmTransport({
    settings,
    connect: async (options) =>
      measuredApi(await createSdkApi(options), (call, result, seconds) => {
        meter.count('rune_lmm_ssm_calls_total', { call, result });
        meter.observe('rune_lmm_ssm_call_seconds', { call }, seconds);
      }),
    clock: SYSTEM_CLOCK,
    random: Math.random,
  });
  const transports = new Map(
    [
      ssh,
      ...(alwaysOpenssh ? [alwaysOpenssh] : []),
      ...(settings.ssmEnabled ? [ssm] : []),
      ...(settings.localEnabled ? [local] : []),
    ].map((transport): [string, Transport] => [transport.name, transport]),
  );
  const hasCredentials = Object.keys(settings.credentials).length + settings.sshConfig.length > 0;
  if (!hasCredentials && !settings.localEnabled && !settings.ssmEnabled) {
    logger.warn(
      'this mediator can reach no node: it has no credentials, and local_enabled and ssm.enabled are false',
    );
  }
  const mediator = createMediator({
    instanceId,
    transports,
    blobs: createBlobCache(settings.pluginCacheBytesMax),
    schemas: createSchemaCompiler(),
    logger,
    meter,
    settings: {
      runsMax: settings.runsMax,
      timeoutMs: { default: settings.timeoutMs, max: settings.timeoutMsMax },
      killGraceMs: { default: settings.killGraceMs, max: 300_000 },
      connectTimeoutMs: { default: settings.connectTimeoutMs, max: 120_000 },
      orphanAfterMs: { default: settings.orphanAfterMs, max: 86_400_000 },
      outputBytesMax: { default: settings.outputBytesMax, max: OUTPUT_BYTES_MAX },
      logBytesMax: { default: settings.logBytesMax, max: LOG_BYTES_MAX },
      unreadBytesMax: settings.eventBufferBytesMax,
      replayBytesMax: settings.eventReplayBytesMax,
      replayTotalBytesMax: settings.eventReplayTotalBytesMax,
      outcomeKeepMs: settings.outcomeKeepMs,
      outcomesMax: settings.outcomesMax,
      outcomesTotalBytesMax: settings.outcomesTotalBytesMax,
      lineBytesMax: settings.logLineBytesMax,
      batchBytesMax: settings.logBatchBytesMax,
      batchAfterMs: settings.logBatchAfterMs,
    },
  });
  const tls = serverTlsOf(settings);
  const server = await startRpcServer({
    listen: settings.listen,
    ...(tls === undefined ? {} : { tls }),
    allowPlaintext: settings.allowPlaintext,
    ...(settings.probeListen === undefined ? {} : { probeListen: settings.probeListen }),
    bindings: [bindService(LmmServiceService, lmmHandlers(mediator))],
    logger,
    source: 'lmm',
    facts: { lmmInstanceId: instanceId },
    onCallEnd: (method, code, seconds) => meter.observe('rune_lmm_rpc_seconds', { method, code }, seconds),
  });
  const pools = [ssh, ...(alwaysOpenssh ? [alwaysOpenssh] : [])];
  beginAtZero(meter, transports.keys());
  metrics.serve(readLmmMetrics({ mediator, pools, openssh, ssm, server }));
  const connectionLoad = (): ConnectionLoad => {
    const counts = pools.map((transport) => transport.metrics());
    const sum = (of: 'open' | 'idle' | 'taken' | 'takenWarm'): number =>
      counts.reduce((total, pool) => total + pool[of], 0);
    return {
      open: sum('open'),
      idle: sum('idle'),
      channelsOpened: sum('taken'),
      channelsOnWarm: sum('takenWarm'),
    };
  };
  const registration =
    settings.lomAddresses.length === 0
      ? undefined
      : keepRegistered({
          addresses: settings.lomAddresses,
          connect: registryConnect(settings),
          registration: registrationOf({
            instanceId,
            address: server.address,
            advertise: settings.advertise,
            zone: settings.zone ?? '',
            transports: mediator.transports,
            runsMax: settings.runsMax,
            labels: settings.labels,
          }),
          beat: () => ({
            load: {
              runsActive: mediator.runCount,
              runsMax: settings.runsMax,
              runsStarted: mediator.counts.started,
              runsRefused: mediator.counts.refused,
              connections: connectionLoad(),
            },
            lastActivity: mediator.counts.lastActivity,
          }),
          heartbeatMs: settings.heartbeatMs,
          logger,
        });
  logger.info('mediator ready', { lmm_instance_id: instanceId, transports: [...transports.keys()] });
  return {
    address: server.address,
    async stop(graceMs) {
      server.announceStop();
      const announced = registration?.announceDraining();
      // Until then owners can still fetch and acknowledge outcomes: only new runs are refused.
      await mediator.drain(graceMs);
      await announced;
      await registration?.end('the process was told to stop');
      await server.stop(LAST_EVENTS_MS);
      await Promise.all([...transports.values()].map((transport) => transport.close()));
      await openssh?.close();
      // To the end: the stop is to be seen.
      await metrics.close();
    },
  };
}
