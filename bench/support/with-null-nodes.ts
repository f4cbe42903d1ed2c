import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stringify } from 'yaml';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { makeTempDirectory } from '../../test/support/temp-directory.js';
import { startService, type ServiceProcess } from '../../test/support/service-process.js';

/** What LOM is told, and how it writes. */
export interface NullNodesOptions {
  readonly nodes: number;
  readonly lom?: Readonly<Record<string, unknown>>;
  /** Each write is a transaction of its own. */
  readonly ungrouped?: boolean;
}

/** A LOM of its own process with a store in a file, before a mediator that answers every run at once. */
export interface NullNodes {
  readonly client: LomClient;
  readonly lom: ServiceProcess;
  /** Names of the nodes, which do not exist. */
  readonly nodes: readonly string[];
}

const UNGROUPED = new URL('./ungrouped-lom.js', import.meta.url).pathname;

/** Does something with what an execution costs apart from mediators and nodes. */
export async function withNullNodes<T>(
  options: NullNodesOptions,
  work: (nullNodes: NullNodes) => Promise<T>,
): Promise<T> {
  const directory = await makeTempDirectory();
  const mediator = fork(new URL('./null-mediator.js', import.meta.url));
  try {
    const [{ address }] = (await once(mediator, 'message')) as [{ address: string }];
    const nodes = Array.from({ length: options.nodes }, (_node, index) => `node-${index + 1}`);
    const entries = nodes.map((name) => [name, { address: 'localhost', transport: 'local' }]);
    await directory.write({
      'inventory.yaml': stringify({ nodes: Object.fromEntries(entries) }),
      'lom.yaml': stringify({
        listen: '127.0.0.1:0',
        inventory: [`${directory.path}/inventory.yaml`],
        mediators: [address],
        store: `${directory.path}/rune.db`,
        ...options.lom,
      }),
    });
    const program = options.ungrouped === true ? UNGROUPED : undefined;
    const lom = await startService('lom', `${directory.path}/lom.yaml`, {}, program);
    const client = createClient({ address: lom.address });
    try {
      return await work({ client, lom, nodes });
    } finally {
      client.close();
      lom.kill('SIGKILL');
      await lom.exited;
    }
  } finally {
    if (mediator.connected) mediator.disconnect();
    await directory.remove();
  }
}
