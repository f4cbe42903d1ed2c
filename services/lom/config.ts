import {
  addressSetting,
  bytesSetting,
  durationSetting,
  integerSetting,
  listSetting,
  textSetting,
} from '../shared/settings.js';
import { RUN_LIMIT_SETTINGS } from '../shared/run-limit-settings.js';
import { SERVICE_SETTINGS } from '../shared/service-settings.js';
import type { MediatorEndpoint } from './mediators.js';

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
  inventory: listSetting({
    name: 'inventory',
    default: ['inventory.yaml'],
    doc: 'Inventory files, see docs/inventory.md.',
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
  mediatorConnectTimeoutMs: durationSetting({
    name: 'mediator_connect_timeout',
    default: '5s',
    min: '100ms',
    max: '1m',
    doc: 'A mediator that cannot be reached for this long gets no run.',
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
  watcherBufferBytesMax: bytesSetting({
    name: 'watcher_buffer_max',
    default: '1MiB',
    min: '64KiB',
    max: '64MiB',
    doc: 'Events of one execution kept for a reader that is behind; beyond it the plugins are held back, …',
  }),
  watcherStallMs: durationSetting({
    name: 'watcher_stall',
    default: '60s',
    min: '1s',
    max: '1h',
    doc: '… and after this long the reader is given up and the execution goes on without it.',
  }),
} as const;
