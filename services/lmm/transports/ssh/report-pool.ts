import type { Logger } from '../../../shared/logging/logger.js';
import type { PoolMetrics } from './pool-metrics.js';

/** How the counts of a pool are logged. */
export interface PoolReport {
  /** The transport's name. */
  readonly name: string;
  readonly intervalMs: number;
  readonly logger: Logger;
}

/**
 * Logs the pool's counts every `intervalMs` if any has changed since the line before; 0 for never. Answers how to stop, which
 * logs what changed last.
 */
export function reportPool(metrics: () => PoolMetrics, { name, intervalMs, logger }: PoolReport): () => void {
  if (intervalMs === 0) return () => undefined;
  let before = JSON.stringify(metrics());
  const report = (): void => {
    const counts = metrics();
    const now = JSON.stringify(counts);
    if (now === before) return;
    before = now;
    logger.info(`${name} connections`, { ...counts });
  };
  const timer = setInterval(report, intervalMs).unref();
  return () => {
    clearInterval(timer);
    report();
  };
}
