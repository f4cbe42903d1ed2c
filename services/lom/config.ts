import {
  addressSetting,
  bytesSetting,
  durationSetting,
  integerSetting,
  listSetting,
  objectSetting,
  textSetting,
} from '../shared/settings/settings.js';
import { RUN_LIMIT_SETTINGS } from '../shared/settings/run-limit-settings.js';
import { SERVICE_SETTINGS } from '../shared/settings/service-settings.js';
import { readInventorySources } from './inventory-sources/source-config.js';
import type { MediatorEndpoint } from './mediators/mediators.js';
import { STORE_SETTINGS } from './store/store-settings.js';

const ENDPOINT = /^(?:([A-Za-z0-9][A-Za-z0-9._-]*)=)?((?:\[[0-9A-Fa-f:.]+\]|[^\s:=,/]+):\d{1,5})$/;

/** The mediators that the setting `mediators` names. */
export function readEndpoints(texts: readonly string[]): MediatorEndpoint[] {
  return texts.map((text) => {
    const [, zone = '', address = ''] = ENDPOINT.exec(text) ?? [];
    return { address, zone };
  });
}

/** The settings of rune-lom; docs/configuration.md shows the same table. */
export const LOM_SETTINGS = {
  ...SERVICE_SETTINGS,
  ...RUN_LIMIT_SETTINGS,
  ...STORE_SETTINGS,
  listen: addressSetting({
    name: 'listen',
    default: '127.0.0.1:50051',
    doc: 'Address to listen on; port 0 takes a free one.',
  }),
  plugins: listSetting({
    name: 'plugins',
    default: [],
    doc: 'Bundle directories; the shipped actions where none is named.',
  }),
  pluginsRecheckMs: durationSetting({
    name: 'plugins_recheck',
    default: '5s',
    min: '100ms',
    max: '1h',
    doc: 'Bundle directories are looked at so often, and loaded again when a file has changed; SIGHUP does so at once.',
  }),
  inventory: listSetting({
    name: 'inventory',
    default: ['inventory.yaml'],
    doc: 'Inventory files, see docs/inventory.md.',
  }),
  inventoryRefreshMs: durationSetting({
    name: 'inventory_refresh',
    default: '5s',
    min: '0s',
    max: '24h',
    doc: 'How often inventory files are looked at; 0s for only at SIGHUP.',
  }),
  inventorySources: objectSetting(
    {
      name: 'inventory_sources',
      kind: 'sources by name, see docs/inventory.md',
      default: {},
      doc: 'Programs, https addresses, EC2 and Systems Manager as more of the inventory.',
    },
    readInventorySources,
  ),
  inventoryCopies: textSetting({
    name: 'inventory_copies',
    doc: 'Directory for the last good answer of each of them, to start with while it is down.',
  }),
  mediators: listSetting({
    name: 'mediators',
    default: ['127.0.0.1:50052'],
    each: { kind: 'host:port or zone=host:port', pattern: ENDPOINT },
    doc: 'The LMM processes; one with a zone serves the nodes of that zone only. Each address is one process.',
  }),
  mediatorTlsCaFile: textSetting({
    name: 'mediator_tls.ca_file',
    doc: 'CA of the mediators, PEM; TLS is used where it is set.',
  }),
  mediatorTlsCertFile: textSetting({
    name: 'mediator_tls.cert_file',
    doc: 'Client certificate shown to mediators, PEM.',
  }),
  mediatorTlsKeyFile: textSetting({ name: 'mediator_tls.key_file', doc: 'Its private key, PEM.' }),
  mediatorTlsServerName: textSetting({
    name: 'mediator_tls.server_name',
    doc: 'Name in the certificates of all mediators, where those do not name their addresses.',
  }),
  mediatorConnectTimeoutMs: durationSetting({
    name: 'mediator_connect_timeout',
    default: '5s',
    min: '100ms',
    max: '1m',
    doc: 'A mediator that cannot be reached for this long gets no run.',
  }),
  mediatorHeartbeatMs: durationSetting({
    name: 'mediator_heartbeat',
    default: '2s',
    min: '100ms',
    max: '5m',
    doc: 'A mediator that registers is asked to say so often that it lives.',
  }),
  mediatorGraceMs: durationSetting({
    name: 'mediator_grace',
    default: '8s',
    min: '200ms',
    max: '10m',
    doc: 'One whose heartbeat is later than this gets no new run until it is heard of again.',
  }),
  mediatorIdentities: listSetting({
    name: 'modules.mediator_identities',
    default: ['loopback'],
    doc: 'Who may register mediators, as the connection proves: `loopback`, or subjects of certificates.',
  }),
  registrarIdentities: listSetting({
    name: 'modules.registrar_identities',
    default: ['loopback'],
    doc: 'Who may register and deregister plugin bundles, which then run on nodes; as above.',
  }),
  modulesRecordIntervalMs: durationSetting({
    name: 'modules.record_interval',
    default: '3s',
    min: '50ms',
    max: '1m',
    doc: 'Heartbeats are recorded at most so often, and those that other orchestrators recorded are looked for.',
  }),
  modulesRegisteredMax: integerSetting({
    name: 'modules.registered_max',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Modules that are registered at the same time; more are refused.',
  }),
  mediatorWaitMs: durationSetting({
    name: 'mediator_wait',
    default: '1m',
    min: '0s',
    max: '1h',
    doc: 'A run whose mediators are full, shutting down or late waits for so long; then it fails, and nothing ran.',
  }),
  mediatorFullWaitMsMax: durationSetting({
    name: 'mediator_full_wait_max',
    default: '30s',
    min: '1s',
    max: '10m',
    doc: 'A full mediator says when it may be asked again. It is believed up to this long, see docs/registry.md.',
  }),
  executionsMax: integerSetting({
    name: 'executions_max',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Executions at the same time; more are refused.',
  }),
  parallelMax: integerSetting({
    name: 'parallel_max',
    default: 100,
    min: 1,
    max: 10_000,
    doc: 'Runs of one execution at the same time.',
  }),
  leaseMs: durationSetting({
    name: 'lease',
    default: '15s',
    min: '1s',
    max: '10m',
    doc: 'Where several LOM share a store: executions of one that was silent for this long are taken over.',
  }),
  retriesMax: integerSetting({
    name: 'retries_max',
    default: 10,
    min: 0,
    max: 100,
    doc: 'Retries that a request may ask for. Only runs that cannot have started are repeated.',
  }),
  retryDelayMs: durationSetting({
    name: 'retry_delay',
    default: '2s',
    min: '100ms',
    max: '10m',
    doc: 'Pause before the first retry unless the request says otherwise; each next one is twice as long, up to 10 minutes.',
  }),
  lockQueueTimeoutMs: durationSetting({
    name: 'lock_queue_timeout',
    default: '10m',
    min: '1s',
    max: '24h',
    doc: 'A run waits so long for a node that another mutating run has, unless its request says otherwise.',
  }),
  runsMax: integerSetting({
    name: 'runs_max',
    default: 2000,
    min: 1,
    max: 100_000,
    doc: 'Runs of all executions at the same time; executions take turns.',
  }),
  requestIdWindowMs: durationSetting({
    name: 'request_id_window',
    default: '24h',
    min: '1m',
    max: '720h',
    doc: 'For this long a request id means the execution that it made.',
  }),
  logRunBytesMax: bytesSetting({
    name: 'log.run_max',
    default: '1MiB',
    min: '0B',
    max: '16GiB',
    doc: 'Log of one run that is recorded and shown; what follows is counted.',
  }),
  logExecutionBytesMax: bytesSetting({
    name: 'log.execution_max',
    default: '64MiB',
    min: '0B',
    max: '64GiB',
    doc: 'The same for all runs of an execution together.',
  }),
  resultsExecutionBytesMax: bytesSetting({
    name: 'results.execution_max',
    default: '256MiB',
    min: '0B',
    max: '64GiB',
    doc: 'Results of all runs of an execution that are recorded and shown; of one that does not fit, its size is.',
  }),
  retentionKeepMs: durationSetting({
    name: 'retention.keep',
    default: '720h',
    min: '1m',
    max: '87600h',
    doc: 'Executions that ended longer ago are deleted, …',
  }),
  retentionKeepMax: integerSetting({
    name: 'retention.executions_max',
    default: 100_000,
    min: 1,
    max: 100_000_000,
    doc: '… and the oldest ended ones beyond this number.',
  }),
  commitBufferBytesMax: bytesSetting({
    name: 'commit_buffer_max',
    default: '4MiB',
    min: '64KiB',
    max: '256MiB',
    doc: 'Events that wait for the store; beyond this the plugins are held back.',
  }),
} as const;
