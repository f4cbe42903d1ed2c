import {
  addressSetting,
  bytesSetting,
  durationSetting,
  flagSetting,
  integerSetting,
  listSetting,
  mapSetting,
  objectSetting,
  textSetting,
} from '../shared/settings/settings.js';
import { RUN_LIMIT_SETTINGS } from '../shared/settings/run-limit-settings.js';
import { SERVICE_SETTINGS } from '../shared/settings/service-settings.js';
import { readCredentialConfigs } from './credentials/credential-config.js';
import { OPENSSH_SETTINGS } from './transports/openssh/openssh-settings.js';
import { SSH_SETTINGS } from './transports/ssh/ssh-settings.js';
import { SSM_SETTINGS } from './transports/ssm/ssm-settings.js';

/** The settings of rune-lmm; docs/configuration.md shows the same table. */
export const LMM_SETTINGS = {
  ...SERVICE_SETTINGS,
  ...RUN_LIMIT_SETTINGS,
  listen: addressSetting({
    name: 'listen',
    default: '127.0.0.1:50052',
    doc: 'Address to listen on; port 0 takes a free one.',
  }),
  lomAddresses: listSetting({
    name: 'lom_addresses',
    default: [],
    each: { kind: 'host:port', pattern: /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:=,/]+):\d{1,5}$/ },
    doc: 'The orchestrators to register with, the first that answers; none where LOM names this mediator itself.',
  }),
  advertise: addressSetting({
    name: 'advertise',
    doc: 'Where orchestrators reach this process; where it listens if not set. Port 0 is the port that it listens on.',
  }),
  zone: textSetting({
    name: 'zone',
    doc: 'It serves the nodes of this zone; those without a zone if not set.',
  }),
  labels: mapSetting({
    name: 'labels',
    default: {},
    doc: 'What else orchestrators show of this mediator.',
  }),
  heartbeatMs: durationSetting({
    name: 'heartbeat_interval',
    default: '2s',
    min: '100ms',
    max: '5m',
    doc: 'How often it says that it lives; more often where the orchestrator asks for it (mediator_heartbeat).',
  }),
  lomTlsCaFile: textSetting({
    name: 'lom_tls.ca_file',
    doc: 'CA of the orchestrators, PEM; TLS is used where it is set.',
  }),
  lomTlsCertFile: textSetting({
    name: 'lom_tls.cert_file',
    doc: 'Client certificate shown to orchestrators, PEM; its subject is in their modules.mediator_identities.',
  }),
  lomTlsKeyFile: textSetting({ name: 'lom_tls.key_file', doc: 'Its private key, PEM.' }),
  localEnabled: flagSetting({
    name: 'local_enabled',
    default: false,
    doc: 'Offer the transport `local`: run plugins on the host of this service itself.',
  }),
  knownHosts: listSetting({
    name: 'known_hosts',
    default: ['/etc/ssh/ssh_known_hosts', '~/.ssh/known_hosts'],
    doc: 'known_hosts files, read again when they change. A key that is in none of them and not pinned is refused.',
  }),
  sshConfig: listSetting({
    name: 'ssh_config',
    default: [],
    doc: 'ssh_config files that complete the inventory, see docs/ssh.md; read again when they change.',
  }),
  credentials: objectSetting(
    {
      name: 'credentials',
      kind: 'credentials by name, see docs/ssh.md',
      default: {},
      doc: 'Key files, agents and passwords by name; nodes that name none use `default`. Read again when they change.',
    },
    readCredentialConfigs,
  ),
  runsMax: integerSetting({
    name: 'runs_max',
    default: 1000,
    min: 1,
    max: 100_000,
    doc: 'Runs at the same time; more are refused.',
  }),
  pluginCacheBytesMax: bytesSetting({
    name: 'plugin_cache_max',
    default: '64MiB',
    min: '1MiB',
    max: '1GiB',
    doc: 'Plugin bytes kept by digest, so that they are not sent again.',
  }),
  timeoutMs: durationSetting({
    name: 'timeout',
    default: '60s',
    min: '1s',
    max: '24h',
    doc: 'How long a plugin may run when the request does not say.',
  }),
  outputBytesMax: bytesSetting({
    name: 'output_max',
    default: '1MiB',
    min: '1KiB',
    max: '3MiB',
    doc: 'Standard output of a plugin, that is its result; more is RESULT_TOO_LARGE.',
  }),
  logBytesMax: bytesSetting({
    name: 'log_max',
    default: '16MiB',
    min: '1KiB',
    max: '4GiB',
    doc: 'Standard error of a plugin that is passed on; more is dropped and counted.',
  }),
  logLineBytesMax: bytesSetting({
    name: 'log_line_max',
    default: '32KiB',
    min: '256B',
    max: '64KiB',
    doc: 'A longer log line is passed on in parts.',
  }),
  logBatchBytesMax: bytesSetting({
    name: 'log_batch_max',
    default: '64KiB',
    min: '1KiB',
    max: '64KiB',
    doc: 'Log lines are passed on together up to this size, …',
  }),
  logBatchAfterMs: durationSetting({
    name: 'log_batch_after',
    default: '20ms',
    min: '1ms',
    max: '1s',
    doc: '… or when the first of them is this old.',
  }),
  eventBufferBytesMax: bytesSetting({
    name: 'event_buffer_max',
    default: '1MiB',
    min: '64KiB',
    max: '64MiB',
    doc: 'Events of one run that wait for their reader; beyond it the plugin is held back.',
  }),
  eventReplayBytesMax: bytesSetting({
    name: 'event_replay_max',
    default: '1MiB',
    min: '64KiB',
    max: '64MiB',
    doc: 'Log and progress of one run kept after it was read, for an orchestrator that comes back, …',
  }),
  eventReplayTotalBytesMax: bytesSetting({
    name: 'event_replay_total_max',
    default: '64MiB',
    min: '1MiB',
    max: '16GiB',
    doc: '… and of all runs together. Beyond either the oldest is dropped and counted.',
  }),
  outcomeKeepMs: durationSetting({
    name: 'outcome_keep',
    default: '15m',
    min: '1s',
    max: '24h',
    doc: 'An outcome that no orchestrator acknowledges is kept for this long, …',
  }),
  outcomesMax: integerSetting({
    name: 'outcomes_max',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: '… while there are no more than these …',
  }),
  outcomesTotalBytesMax: bytesSetting({
    name: 'outcomes_total_max',
    default: '64MiB',
    min: '4MiB',
    max: '16GiB',
    doc: '… and they are no larger than this together. The oldest are dropped first.',
  }),
  ...SSH_SETTINGS,
  ...OPENSSH_SETTINGS,
  ...SSM_SETTINGS,
} as const;
