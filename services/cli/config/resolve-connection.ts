import { RuneError } from '../../shared/errors.js';
import type { ClientTls } from '../../shared/rpc/rpc-tls.js';
import { isAddress } from './is-address.js';

import type { Config, Context, Defaults } from './parse-config.js';

/** Where LOM is, by which files to trust it, and what the context in use sets for flags that are not given. */
export interface Connection {
  readonly address: string;
  readonly tls?: ClientTls;
  readonly defaults: Defaults;
  /** Name of the context in use, if any. */
  readonly context?: string;
}

/** Where LOM listens unless it is told otherwise. */
export const DEFAULT_ADDRESS = '127.0.0.1:50051';

function checked(address: string, from: string): string {
  if (isAddress(address)) return address;
  throw new RuneError('COMMAND_INVALID', `${from} ${address}: write host:port, such as ${DEFAULT_ADDRESS}.`);
}

/**
 * Which service to talk to. A flag beats an environment variable, which beats the file; on each level a server replaces the
 * address of the context in use and keeps its certificates and defaults. Throws COMMAND_INVALID for a context that is not in
 * the file and for a malformed address.
 */
export function resolveConnection(from: {
  readonly flags: { readonly server?: string | undefined; readonly context?: string | undefined };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly config: Config;
}): Connection {
  const { flags, env, config } = from;
  const envServer = env['RUNE_SERVER'] === '' ? undefined : env['RUNE_SERVER'];
  const envContext = env['RUNE_CONTEXT'] === '' ? undefined : env['RUNE_CONTEXT'];
  const name = flags.context ?? envContext ?? config.currentContext;
  const context: Context | undefined = name === undefined ? { defaults: {} } : config.contexts.get(name);
  if (context === undefined) {
    const known = [...config.contexts.keys()].join(', ') || 'none';
    const source = flags.context === undefined ? 'RUNE_CONTEXT' : '--context';
    throw new RuneError('COMMAND_INVALID', `${source} ${name}: there is no such context; known: ${known}.`);
  }
  // A context that is asked for by a flag is more than a server that lies around in the environment.
  const server =
    flags.server !== undefined
      ? checked(flags.server, '--server')
      : flags.context === undefined && envServer !== undefined
        ? checked(envServer, 'RUNE_SERVER')
        : (context.server ?? (envServer === undefined ? DEFAULT_ADDRESS : checked(envServer, 'RUNE_SERVER')));
  return {
    address: server,
    defaults: context.defaults,
    ...(context.tls === undefined ? {} : { tls: context.tls }),
    ...(name === undefined ? {} : { context: name }),
  };
}
