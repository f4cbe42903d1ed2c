import type { LomClient } from './client.js';
import type { ServiceOptions } from './commands/service-options.js';
import { loadConfig } from './config/load-config.js';
import type { Defaults } from './config/parse-config.js';
import { resolveConnection } from './config/resolve-connection.js';
import { connect, type Deps } from './connect.js';
import type { OutputFormat } from './output-format.js';
import { reportError } from './report-error.js';
import { untilInterrupted } from './until-interrupted.js';

/** A command's service, once it is known which. */
export interface Session {
  readonly client: LomClient;
  readonly address: string;
  /** What the context in use sets for flags that are not given. */
  readonly defaults: Defaults;
  readonly output: OutputFormat;
  /** Options for calls that answer once: their time limit, and the interrupt that ends them. */
  readonly call: { readonly timeoutMs: number; readonly signal: AbortSignal };
}

/**
 * Does `work` with a client of the service that the flags, the environment and the configuration file name; explains what it
 * throws and answers the exit code. `local` starts services of its own instead.
 */
export async function withService(
  deps: Deps,
  options: ServiceOptions,
  work: (session: Session) => Promise<number>,
  local?: () => Promise<{ address: string; stop(): Promise<void> }>,
): Promise<number> {
  const { io } = deps;
  let output: OutputFormat = options.output ?? 'pretty';
  try {
    const config = await untilInterrupted(io.interrupts, loadConfig(io.env));
    const connection = resolveConnection({ flags: options, env: io.env, config });
    const { defaults } = connection;
    output = options.output ?? defaults.output ?? 'pretty';
    const services = await local?.();
    try {
      const target = services === undefined ? connection : { address: services.address, defaults };
      const client = connect(deps, target);
      try {
        const call = { timeoutMs: options.callTimeoutMs, signal: io.interrupts.first };
        return await work({ client, address: target.address, defaults, output, call });
      } finally {
        client.close();
      }
    } finally {
      await services?.stop();
    }
  } catch (error) {
    return reportError(io, error, output);
  }
}
