import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { startBadLinks, type BadLinks } from '../support/bad-link.js';
import { eventually } from '../support/eventually.js';
import { startPostgres, type TestPostgres } from '../support/postgres.js';
import { startService, type ServiceProcess } from '../support/service-process.js';
import type { TestSshd } from '../support/sshd.js';

const run = promisify(execFile);

/** A service that is started again at the same address whenever it was ended. */
export interface ChaosService {
  readonly kind: 'lom' | 'lmm';
  readonly name: string;
  /** Where others find it; of a mediator, the near end of the way to it. */
  readonly address: string;
  /** Nothing is ever done to its process. */
  readonly isCalm: boolean;
  /** Its newest process. */
  readonly process: ServiceProcess;
  /** Ends it with this signal and starts it again after so long. */
  restart(signal: NodeJS.Signals, afterMs: number): Promise<void>;
  /** What all its processes wrote. */
  log(): string[];
}

/** An orchestrator with a client that finds every life of it. */
export interface Replica extends ChaosService {
  readonly client: LomClient;
}

/** Two orchestrators over one PostgreSQL, and mediators behind ways that can be hurt. */
export interface ChaosServices {
  readonly replicas: readonly Replica[];
  readonly mediators: readonly ChaosService[];
  readonly all: readonly ChaosService[];
  /** Connections of the replicas to the mediators, by address. */
  readonly ways: BadLinks;
  readonly postgres: TestPostgres;
  /** What `rune-lom store check` prints; rejects when it finds a fault. */
  checkStore(): Promise<string>;
  stop(): Promise<void>;
}

/** What the services are told. */
export interface ChaosServicesOptions {
  /** Holds configuration and temporary files. */
  readonly directory: string;
  readonly sshd: TestSshd;
  readonly nodes: Readonly<Record<string, unknown>>;
  readonly plugins: readonly string[];
  readonly lom: Readonly<Record<string, unknown>>;
  readonly lmm: Readonly<Record<string, unknown>>;
}

const REPLICAS = 2;
const MEDIATORS = 3;
const LEASE = '2s';
const WAY_ADDRESS = (index: number): string => `127.0.3.${index + 1}`;
/** An orchestrator does not start while the database is away. */
const RESTART_TIMEOUT_MS = 120_000;
const RESTART_PAUSE_MS = 200;

/** Starts all of them. The last mediator is a calm one. */
export async function startChaosServices(options: ChaosServicesOptions): Promise<ChaosServices> {
  const { directory, sshd } = options;
  const file = async (name: string, content: unknown): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, stringify(content), { mode: 0o600 });
    return path;
  };
  const started: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.toReversed()) await end();
  };

  const keep = async (
    facts: Pick<ChaosService, 'kind' | 'name' | 'isCalm'> & { readonly address?: string },
    config: string,
    env: NodeJS.ProcessEnv,
  ): Promise<ChaosService> => {
    const { kind } = facts;
    let process = await startService(kind, config, env);
    const lives = [process];
    const listen = { [`${kind.toUpperCase()}_LISTEN`]: process.address };
    started.push(async () => {
      process.kill('SIGKILL');
      await process.exited;
    });
    return {
      address: process.address,
      ...facts,
      get process() {
        return process;
      },
      async restart(signal, afterMs) {
        process.kill(signal);
        await process.exited;
        await delay(afterMs);
        process = await eventually(() => startService(kind, config, { ...env, ...listen }), {
          label: `${facts.name} to start again`,
          timeoutMs: RESTART_TIMEOUT_MS,
          pauseMs: RESTART_PAUSE_MS,
        });
        lives.push(process);
      },
      log: () => lives.flatMap(({ log }) => log),
    };
  };

  try {
    const postgres = await startPostgres();
    started.push(postgres.stop);
    const store = await postgres.createDatabase();

    let mediators: readonly ChaosService[] = [];
    const ways = await startBadLinks({
      route(called) {
        const index = mediators.findIndex(({ address }) => address.startsWith(`${called}:`));
        const [host = '', port = ''] = mediators[index]?.process.address.split(':') ?? [];
        return { host, port: Number(port) };
      },
    });
    started.push(ways.close);
    const lmm = await file('lmm.yaml', {
      listen: '127.0.0.1:0',
      known_hosts: [],
      credentials: { default: { key_files: [sshd.userKeyPath] } },
      ...options.lmm,
    });
    mediators = await Promise.all(
      Array.from({ length: MEDIATORS }, async (_mediator, index) => {
        const name = `lmm-${index + 1}`;
        // What a killed mediator leaves there goes away with the world.
        const TMPDIR = join(directory, name);
        await mkdir(TMPDIR);
        const address = `${WAY_ADDRESS(index)}:${ways.port}`;
        return keep({ kind: 'lmm', name, address, isCalm: index === MEDIATORS - 1 }, lmm, { TMPDIR });
      }),
    );

    const lom = await file('lom.yaml', {
      listen: '127.0.0.1:0',
      plugins: options.plugins,
      inventory: [await file('inventory.yaml', { nodes: options.nodes })],
      mediators: mediators.map(({ address }) => address),
      kill_grace: '1s',
      lease: LEASE,
      ...options.lom,
    });
    const env = { LOM_STORE: store };
    const replicas = await Promise.all(
      Array.from({ length: REPLICAS }, async (_replica, index): Promise<Replica> => {
        const service = await keep({ kind: 'lom', name: `lom-${index + 1}`, isCalm: false }, lom, env);
        const client = createClient({ address: service.address });
        started.push(() => Promise.resolve(client.close()));
        return Object.assign(service, { client });
      }),
    );
    return {
      replicas,
      mediators,
      all: [...replicas, ...mediators],
      ways,
      postgres,
      async checkStore() {
        const main = join(packageRoot, 'dist', 'services', 'lom', 'main.js');
        const { stdout } = await run(process.execPath, [main, 'store', 'check', '--config', lom], { env });
        return stdout;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
