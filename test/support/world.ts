import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { startServicePair, type ServicePair } from './service-pair.js';
import { startSshd, type SshdOptions, type TestSshd } from './sshd.js';
import { makeTestBundle } from './test-bundle.js';

/** What a world is made of; every part has a default. */
export interface WorldOptions {
  readonly sshd?: SshdOptions;
  /** Only the test actions: an orchestrator that checks no others starts in half of the time. */
  readonly testActionsOnly?: boolean;
  /** More nodes for the inventory, made from the sshd that was started. */
  readonly nodes?: (sshd: TestSshd) => Record<string, unknown>;
  /** More bundle directories. */
  readonly plugins?: readonly string[];
  /** More settings of the services' configuration files. */
  readonly lom?: Record<string, unknown>;
  readonly lmm?: Record<string, unknown> | ((sshd: TestSshd) => Record<string, unknown>);
  /** More variables in the environment of the LMM, such as those of a test endpoint for AWS. */
  readonly lmmEnv?: Readonly<Record<string, string>>;
}

/** A real sshd, a real LMM and a real LOM as processes of their own, and a client. */
export interface World extends ServicePair {
  readonly sshd: TestSshd;
  readonly client: LomClient;
  /** A directory that goes away with the world. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** An inventory entry for one login of the sshd. */
export function sshNode(sshd: TestSshd, user: string): Record<string, unknown> {
  return { address: sshd.host, port: sshd.port, user, host_key_fingerprints: [...sshd.hostKeyFingerprints] };
}

/** The nodes as machines of their own, although they are one: mutating actions run on all of them at the same time. */
export function lockedApart(
  nodes: Readonly<Record<string, Record<string, unknown>>>,
): Record<string, Record<string, unknown>> {
  return Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, { lock_key: name, ...node }]));
}

/**
 * Starts a world with the shipped and the test actions, or only the latter, and three nodes: `root` and `user` by SSH to the
 * same sshd, `here` by the local transport.
 */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'rune-world-'));
  const sshd = await startSshd(options.sshd ?? {});
  const services = await startServicePair({
    directory,
    nodes: lockedApart({
      root: sshNode(sshd, sshd.users.root),
      user: sshNode(sshd, sshd.users.unprivileged),
      here: { address: 'localhost', transport: 'local' },
      ...options.nodes?.(sshd),
    }),
    plugins: [
      ...(options.testActionsOnly === true ? [] : [join(packageRoot, 'plugins')]),
      await makeTestBundle(directory),
      ...(options.plugins ?? []),
    ],
    lom: { kill_grace: '1s', ...options.lom },
    lmm: {
      local_enabled: true,
      known_hosts: [],
      credentials: { default: { key_files: [sshd.userKeyPath] } },
      ...(typeof options.lmm === 'function' ? options.lmm(sshd) : options.lmm),
    },
    ...(options.lmmEnv === undefined ? {} : { lmmEnv: options.lmmEnv }),
  }).catch(async (error: unknown) => {
    await sshd.stop();
    await rm(directory, { recursive: true, force: true });
    throw error;
  });
  const client = createClient({ address: services.lom.address });
  return {
    sshd,
    get lom() {
      return services.lom;
    },
    get lmm() {
      return services.lmm;
    },
    restart: services.restart,
    client,
    directory,
    async stop() {
      client.close();
      const processes = [services.lom, services.lmm];
      for (const process of processes) process.kill('SIGKILL');
      await Promise.all(processes.map((process) => process.exited));
      await sshd.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
