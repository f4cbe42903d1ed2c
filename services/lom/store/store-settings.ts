import { durationSetting, integerSetting, textSetting } from '../../shared/settings/settings.js';
import type { SettingsOf } from '../../shared/settings/settings.js';

/** The settings of the store among those of rune-lom. */
export const STORE_SETTINGS = {
  store: textSetting({
    name: 'store',
    default: 'rune.db',
    secret: true,
    doc: 'Where executions are recorded: a file (SQLite, one process) or postgres://… (many), see docs/store.md.',
  }),
  storeConnectTimeoutMs: durationSetting({
    name: 'store_connect_timeout',
    default: '5s',
    min: '100ms',
    max: '1m',
    doc: 'PostgreSQL: a call that has no connection after this time fails.',
  }),
  storeStatementTimeoutMs: durationSetting({
    name: 'store_statement_timeout',
    default: '10s',
    min: '100ms',
    max: '5m',
    doc: 'PostgreSQL: a statement that is not done after this time fails.',
  }),
  storeConnectionsMax: integerSetting({
    name: 'store_connections_max',
    default: 10,
    min: 1,
    max: 200,
    doc: 'PostgreSQL: connections of this process, besides one that listens for changes.',
  }),
} as const;

/** The values of the settings of the store, without its location. */
export type StoreSettings = Omit<SettingsOf<typeof STORE_SETTINGS>, 'store'>;
