import type { Connect } from '../ssh/connection.js';
import { connectWith, type Master } from './master.js';
import type { Env } from './ssh-environment.js';
import type { SshProgram } from './ssh-program.js';
import { createWorkspace } from './workspace.js';

/** What connections by the system's ssh are made with. */
export interface OpensshOptions {
  readonly program: SshProgram;
  /** An ssh_config file that ssh itself reads, or undefined for none. */
  readonly configFile: string | undefined;
  /** Where the private directory for the control sockets is made. */
  readonly directoryBase: string;
  /** The variables of this process; few of them reach ssh. */
  readonly env: Env;
}

/** Connections that the system's ssh makes, for what the library cannot do. */
export interface OpensshConnections {
  readonly connect: Connect;
  /** Processes that hold a connection, or are about to. */
  masters(): number;
  /** Removes what the connections needed; after the transports are closed. */
  close(): Promise<void>;
}

/** Makes connections possible; nothing is started or written before the first one. */
export function createOpensshConnections(options: OpensshOptions): OpensshConnections {
  const { program, configFile, directoryBase, env } = options;
  const workspace = createWorkspace({ program, base: directoryBase, env });
  const masters = new Set<Master>();
  return {
    connect: connectWith({ program, workspace, configFile, env, masters }),
    masters: () => masters.size,
    close: workspace.close,
  };
}
