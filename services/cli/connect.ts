import { dirname, resolve } from 'node:path';
import { RuneError } from '../shared/errors.js';
import type { ClientTls } from '../shared/rpc/rpc-tls.js';
import type { ClientOptions, LomClient } from './client.js';
import { configPath } from './config/load-config.js';
import type { Connection } from './config/resolve-connection.js';
import type { Io } from './io.js';

/** What every command is given: the outside world, and how to make a client. */
export interface Deps {
  readonly io: Io;
  readonly createClient: (options: ClientOptions) => LomClient;
}

/** Paths in the configuration file are relative to the file. */
function absolute(tls: ClientTls, base: string): ClientTls {
  const { caFile, certFile, keyFile } = tls;
  return {
    ...tls,
    caFile: resolve(base, caFile),
    ...(certFile === undefined ? {} : { certFile: resolve(base, certFile) }),
    ...(keyFile === undefined ? {} : { keyFile: resolve(base, keyFile) }),
  };
}

/** A client of the connection's service. Throws COMMAND_INVALID naming the context whose certificates cannot be used. */
export function connect({ io, createClient }: Deps, { address, tls, context }: Connection): LomClient {
  try {
    return createClient({
      address,
      ...(tls === undefined ? {} : { tls: absolute(tls, dirname(configPath(io.env))) }),
    });
  } catch (error) {
    if (!(error instanceof RuneError)) throw error;
    throw new RuneError('COMMAND_INVALID', `context ${context ?? ''}: ${error.message}`, error.facts, {
      cause: error,
    });
  }
}
