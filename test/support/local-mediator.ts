import { join } from 'node:path';
import { stringify } from 'yaml';
import { startService, type ServiceProcess } from './service-process.js';
import type { TempDirectory } from './temp-directory.js';

/** Which nodes there are and what runs there. */
export interface LocalNodes {
  /** All of them are the machine itself; each has a lock of its own. */
  readonly nodes: readonly string[];
  readonly bundle: string;
  /** More settings of LOM. */
  readonly lom?: object;
}

/** Starts a mediator for nodes that are this machine, and writes `lom.yaml` for orchestrators that use it, all in the directory. */
export async function startLocalMediator(
  directory: TempDirectory,
  { nodes, bundle, lom = {} }: LocalNodes,
): Promise<ServiceProcess> {
  const file = (name: string): string => join(directory.path, name);
  await directory.write({ 'lmm.yaml': stringify({ listen: '127.0.0.1:0', local_enabled: true }) });
  const lmm = await startService('lmm', file('lmm.yaml'));
  await directory.write({
    'inventory.yaml': stringify({
      nodes: Object.fromEntries(nodes.map((name) => [name, { transport: 'local', lock_key: name }])),
    }),
    'lom.yaml': stringify({
      listen: '127.0.0.1:0',
      plugins: [bundle],
      inventory: [file('inventory.yaml')],
      mediators: [lmm.address],
      ...lom,
    }),
  });
  return lmm;
}
