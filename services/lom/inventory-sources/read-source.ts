import { readAws } from './aws/read-aws.js';
import { readProgram } from './read-program.js';
import { readUrl } from './read-url.js';
import type { InventorySourceConfig } from './source-config.js';
import type { SourceReading } from './source-reading.js';

/** Asks a source once. `env` is that of the service. */
export function readSource(
  { from, timeoutMs }: InventorySourceConfig,
  bytesMax: number,
  env: Readonly<Record<string, string | undefined>>,
): Promise<SourceReading> {
  const limits = { timeoutMs, bytesMax };
  if (from.kind === 'program') return readProgram(from, limits, env);
  return from.kind === 'url' ? readUrl(from, limits) : readAws(from, limits);
}
