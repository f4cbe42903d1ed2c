import { durationSetting, integerSetting, type SettingsOf } from '../../../shared/settings/settings.js';

/** Every bound of the SSH transport, as settings of the mediator; docs/configuration.md shows the same table. */
export const SSH_SETTINGS = {
  channelsPerConnectionMax: integerSetting({
    name: 'ssh.channels_per_connection_max',
    default: 4,
    min: 1,
    max: 1000,
    doc: 'Runs that share a connection. Of the 10 that MaxSessions of sshd allows, about half is usable while runs come and go.',
  }),
  forwardsPerConnectionMax: integerSetting({
    name: 'ssh.forwards_per_connection_max',
    default: 64,
    min: 1,
    max: 10_000,
    doc: 'Connections to nodes that share a connection to a jump host.',
  }),
  connectionsPerNodeMax: integerSetting({
    name: 'ssh.connections_per_node_max',
    default: 16,
    min: 1,
    max: 1000,
    doc: 'Connections to one node, or to one jump host, as one user.',
  }),
  connectionsMax: integerSetting({
    name: 'ssh.connections_max',
    default: 1024,
    min: 1,
    max: 100_000,
    doc: 'Connections in all, those being made included and those to jump hosts apart. The one that is idle longest makes room.',
  }),
  handshakesPerNodeMax: integerSetting({
    name: 'ssh.handshakes_per_node_max',
    default: 4,
    min: 1,
    max: 100,
    doc: 'Connections being made to one address and port, probes included: MaxStartups of sshd drops bursts.',
  }),
  handshakesMax: integerSetting({
    name: 'ssh.handshakes_max',
    default: 32,
    min: 1,
    max: 10_000,
    doc: 'Key exchanges and logins in progress in all; nodes that have not spoken yet do not count.',
  }),
  handshakeHoldMs: durationSetting({
    name: 'ssh.handshake_hold',
    default: '2s',
    min: '100ms',
    max: '1m',
    doc: 'A node that stalls in the handshake for this long no longer counts.',
  }),
  connectAttemptsMax: integerSetting({
    name: 'ssh.connect_attempts_max',
    default: 5,
    min: 1,
    max: 100,
    doc: 'How often a connection is tried that the node drops before the handshake, as a busy sshd does.',
  }),
  waitersMax: integerSetting({
    name: 'ssh.waiters_max',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    doc: 'Runs that wait for a connection, in all; more are refused.',
  }),
  growAfterMs: durationSetting({
    name: 'ssh.grow_after',
    default: '100ms',
    min: '0ms',
    max: '1m',
    doc: 'How long a run waits for a place on the connections of its node before another one is made.',
  }),
  growPauseMs: durationSetting({
    name: 'ssh.grow_pause',
    default: '1s',
    min: '0ms',
    max: '10m',
    doc: 'Pause after another connection to a node could not be made.',
  }),
  idleMs: durationSetting({
    name: 'ssh.idle_max',
    default: '1m',
    min: '100ms',
    max: '24h',
    doc: 'A connection without runs is closed after this time.',
  }),
  ageMsMax: durationSetting({
    name: 'ssh.age_max',
    default: '1h',
    min: '1s',
    max: '7d',
    doc: 'A connection takes no new run after this age.',
  }),
  keepaliveIntervalMs: durationSetting({
    name: 'ssh.keepalive_interval',
    default: '10s',
    min: '100ms',
    max: '5m',
    doc: 'A connection is asked for an answer this often, …',
  }),
  keepaliveCountMax: integerSetting({
    name: 'ssh.keepalive_count_max',
    default: 3,
    min: 1,
    max: 100,
    doc: '… and the link counts as lost when so many answers are missing.',
  }),
  channelOpenTimeoutMs: durationSetting({
    name: 'ssh.channel_open_timeout',
    default: '5s',
    min: '100ms',
    max: '1m',
    doc: 'A connection that opens no session in this time is replaced.',
  }),
  channelCloseTimeoutMs: durationSetting({
    name: 'ssh.channel_close_timeout',
    default: '5s',
    min: '100ms',
    max: '1m',
    doc: 'A connection that does not close a session in this time takes no new run.',
  }),
  spareShellForMs: durationSetting({
    name: 'ssh.spare_shell_for',
    default: '30s',
    min: '0ms',
    max: '10m',
    doc: 'After a run, a shell is made ready on its connection for the next one, and ends when none came in this time; 0ms for no such shell.',
  }),
  spareShellsMax: integerSetting({
    name: 'ssh.spare_shells_max',
    default: 100,
    min: 1,
    max: 10_000,
    doc: 'Such shells in all.',
  }),
  filesRecheckMs: durationSetting({
    name: 'ssh.files_recheck',
    default: '1s',
    min: '0ms',
    max: '1h',
    doc: 'How old a look at known_hosts files, at the configuration file and at the files of credentials may be.',
  }),
  reportIntervalMs: durationSetting({
    name: 'ssh.report_interval',
    default: '1m',
    min: '0ms',
    max: '24h',
    doc: 'How often the log gets a line with the counts of the connections, if they have changed; 0ms for never.',
  }),
} as const;

/** Every bound of the SSH transport. Times in milliseconds. */
export type SshSettings = SettingsOf<typeof SSH_SETTINGS>;

/** What a mediator uses unless it is told otherwise. */
export const DEFAULT_SSH_SETTINGS: SshSettings = choose((name) => SSH_SETTINGS[name].defaultValue);

/** The SSH transport's part of a mediator's settings. */
export function sshSettingsOf(settings: SshSettings): SshSettings {
  return choose((name) => settings[name]);
}

function choose(value: (name: keyof SshSettings) => number): SshSettings {
  const names = Object.keys(SSH_SETTINGS) as (keyof SshSettings)[];
  return Object.fromEntries(names.map((name) => [name, value(name)])) as SshSettings;
}
