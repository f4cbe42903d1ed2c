import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { packageRoot } from '../../services/shared/package-root.js';
import { startService, type ServiceProcess } from './service-process.js';
import { makeTestBundle } from './test-bundle.js';
import { startSshd, type SshdOptions, type TestSshd } from './sshd.js';

/** What a world is made of; every part has a default. */
export interface WorldOptions {
  readonly sshd?: SshdOptions;
  /** More nodes for the inventory, made from the sshd that was started. */
  readonly nodes?: (sshd: TestSshd) => Record<string, unknown>;
  /** More settings of the services' configuration files. */
  readonly lom?: Record<string, unknown>;
  readonly lmm?: Record<string, unknown>;
}

/** A real sshd, a real LMM and a real LOM as processes of their own, and a client. */
export interface World {
  readonly sshd: TestSshd;
  readonly lom: ServiceProcess;
  readonly lmm: ServiceProcess;
  readonly client: LomClient;
  /** A directory that goes away with the world. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** An inventory entry for one login of the sshd. */
export function sshNode(sshd: TestSshd, user: string): Record<string, unknown> {
  return { address: sshd.host, port: sshd.port, user, host_key_fingerprints: [...sshd.hostKeyFingerprints] };
}

/**
 * Starts a world with the shipped and the test actions and three nodes: `root` and `user` by SSH to the same sshd, `here` by
 * the local transport.
 */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'rune-world-'));
  const file = async (name: string, content: unknown): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, typeof content === 'string' ? content : stringify(content), { mode: 0o600 });
    return path;
  };
  const sshd = await startSshd(options.sshd ?? {});
  const inventory = await file('inventory.yaml', {
    nodes: {
      root: sshNode(sshd, sshd.users.root),
      user: sshNode(sshd, sshd.users.unprivileged),
      here: { address: 'localhost', transport: 'local' },
      ...options.nodes?.(sshd),
    },
  });
  const knownHosts = await file('known_hosts', `${sshd.knownHostsLines.join('\n')}\n`);
  const lmm = await startService(
    'lmm',
    await file('lmm.yaml', {
      listen: '127.0.0.1:0',
      local_enabled: true,
      known_hosts: [knownHosts],
      credentials: { default: { key_files: [sshd.userKeyPath] } },
      ...options.lmm,
    }),
  );
  const lom = await startService(
    'lom',
    await file('lom.yaml', {
      listen: '127.0.0.1:0',
      plugins: [join(packageRoot, 'plugins'), await makeTestBundle(directory)],
      inventory: [inventory],
      mediators: [lmm.address],
      ...options.lom,
    }),
  );
  const client = createClient({ address: lom.address });
  return {
    sshd,
    lom,
    lmm,
    client,
    directory,
    async stop() {
      client.close();
      lom.kill('SIGKILL');
      lmm.kill('SIGKILL');
      await Promise.all([lom.exited, lmm.exited]);
      await sshd.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
