import { refusePlaintext } from '../settings/listen-faults.js';
import type { Logger } from '../logging/logger.js';
import { parseAddress } from '../rpc/rpc-address.js';
import type { ServiceSettings } from '../settings/service-settings.js';
import { SILENT_METER, type Meter, type MetricsSpec, type ReadersOf } from './metric.js';
import { serveText } from './serve-text.js';

/** The metrics of a service. */
export interface ServiceMetrics<S extends MetricsSpec> {
  readonly meter: Meter<S>;
  /** From now on they are served, where the settings ask for that. */
  serve(readers: ReadersOf<S>): void;
  close(): Promise<void>;
}

/** Where metrics are served, and what the operator has said about it. */
export type MetricsSettings = Pick<
  ServiceSettings,
  'metricsListen' | 'metricsAllowPlaintext' | 'allowPlaintext'
>;

const NOWHERE = { meter: SILENT_METER, serve: () => undefined, close: () => Promise.resolve() };

/**
 * Listens for those who measure the service, if `metrics_listen` is set; nothing is counted otherwise. Throws CONFIGURATION_INVALID
 * where it must not or cannot listen.
 */
export async function startMetrics<S extends MetricsSpec>(
  spec: S,
  settings: MetricsSettings,
  logger: Logger,
): Promise<ServiceMetrics<S>> {
  if (settings.metricsListen === undefined) return NOWHERE;
  const listen = parseAddress(settings.metricsListen);
  refusePlaintext(listen, settings.metricsAllowPlaintext || settings.allowPlaintext, {
    field: 'metrics_listen',
    what: 'Metrics are served without TLS, and so',
    remedy: 'listen on 127.0.0.1, or set metrics_allow_plaintext if something else keeps strangers away',
  });
  // Only who is measured pays for the library.
  const { createPrometheusMetrics } = await import('./prometheus.js');
  const { meter, contentType, text } = createPrometheusMetrics(spec);
  let readers: ReadersOf<S> | undefined;
  const served = {
    path: '/metrics',
    contentType,
    make: () => (readers === undefined ? undefined : text(readers)),
  };
  const listener = await serveText(listen, 'metrics_listen', served, logger);
  logger.info('metrics are served', { address: listener.address });
  return {
    meter,
    serve: (all) => void (readers = all),
    close: listener.close,
  };
}
