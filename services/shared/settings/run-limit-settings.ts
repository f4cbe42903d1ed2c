import { durationSetting } from './settings.js';

/** Limits of a run that LOM asks for and LMM holds it to; each service has its own values. */
export const RUN_LIMIT_SETTINGS = {
  timeoutMsMax: durationSetting({
    name: 'timeout_max',
    default: '24h',
    min: '1s',
    max: '24h',
    doc: 'The longest timeout that a request may ask for.',
  }),
  killGraceMs: durationSetting({
    name: 'kill_grace',
    default: '5s',
    min: '1s',
    max: '5m',
    doc: 'Between asking a plugin to stop (TERM) and ending it (KILL).',
  }),
  connectTimeoutMs: durationSetting({
    name: 'connect_timeout',
    default: '10s',
    min: '1s',
    max: '2m',
    doc: 'Connecting to a node and authenticating.',
  }),
  orphanAfterMs: durationSetting({
    name: 'orphan_after',
    default: '60s',
    min: '1s',
    max: '24h',
    doc: 'A mediator cancels a run that nobody is attached to for this long.',
  }),
} as const;
