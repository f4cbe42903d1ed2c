import { LOG_LEVELS } from '../logging/logger.js';
import type { SettingsOf } from './settings.js';
import { addressSetting, choiceSetting, durationSetting, flagSetting, textSetting } from './settings.js';
import type { ClientTls, ServerTls } from '../rpc/rpc-tls.js';
import { RuneError } from '../errors.js';

/** The settings that every service has besides its own; runService adds them. */
export const SERVICE_SETTINGS = {
  logLevel: choiceSetting(LOG_LEVELS, {
    name: 'log_level',
    default: 'info',
    doc: 'Lines of this level and above are logged.',
  }),
  shutdownGraceMs: durationSetting({
    name: 'shutdown_grace',
    default: '10s',
    min: '0s',
    max: '1h',
    doc: 'How long calls may go on after SIGTERM before they are ended.',
  }),
  probeListen: addressSetting({
    name: 'probe_listen',
    doc: 'Where only health is served, without TLS, for probes; nowhere if not set.',
  }),
  metricsListen: addressSetting({
    name: 'metrics_listen',
    doc: 'Where Prometheus finds /metrics, over HTTP without TLS, see docs/operations.md; nowhere if not set.',
  }),
  metricsAllowPlaintext: flagSetting({
    name: 'metrics_allow_plaintext',
    default: false,
    doc: 'Serve metrics on an address that other hosts can reach; allow_plaintext allows it too.',
  }),
  allowPlaintext: flagSetting({
    name: 'allow_plaintext',
    default: false,
    doc: 'Listen without TLS on an address that other hosts can reach.',
  }),
  tlsCertFile: textSetting({ name: 'tls.cert_file', doc: 'Certificate chain of this service, PEM.' }),
  tlsKeyFile: textSetting({ name: 'tls.key_file', doc: 'Private key of the certificate, PEM.' }),
  tlsClientCaFile: textSetting({
    name: 'tls.client_ca_file',
    doc: 'Clients must show a certificate signed by this CA, PEM.',
  }),
} as const;

/** The values of the settings that every service has. */
export type ServiceSettings = SettingsOf<typeof SERVICE_SETTINGS>;

/** What a client trusts and shows, or undefined for plaintext. */
export function clientTlsOf(
  caFile: string | undefined,
  certFile: string | undefined,
  keyFile: string | undefined,
  serverName?: string,
): ClientTls | undefined {
  if (caFile === undefined) return undefined;
  return {
    caFile,
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** The TLS files of a service, or undefined for plaintext. Throws CONFIGURATION_INVALID when only a part is set. */
export function serverTlsOf(
  settings: Pick<ServiceSettings, 'tlsCertFile' | 'tlsKeyFile' | 'tlsClientCaFile'>,
): ServerTls | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: clientCaFile } = settings;
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new RuneError('CONFIGURATION_INVALID', 'TLS needs both tls.cert_file and tls.key_file.', {
      field: 'tls',
    });
  }
  return clientCaFile === undefined ? { certFile, keyFile } : { certFile, keyFile, clientCaFile };
}
