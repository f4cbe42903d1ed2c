import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startService, type ServiceProcess } from './service-process.js';

/** What the two services are told. */
export interface ServicePairOptions {
  /** Holds the configuration files; it is the caller's. */
  readonly directory: string;
  readonly nodes: Readonly<Record<string, unknown>>;
  readonly plugins: readonly string[];
  /** Settings of the services' configuration files. */
  readonly lom?: Readonly<Record<string, unknown>>;
  readonly lmm?: Readonly<Record<string, unknown>>;
  /** More variables in the environment of the LMM. */
  readonly lmmEnv?: Readonly<Record<string, string>>;
}

/** LOM and the one LMM that it knows, as processes. */
export interface ServicePair {
  /** The newest process of each. */
  readonly lom: ServiceProcess;
  readonly lmm: ServiceProcess;
  /** Starts one that has ended again, at the same address and with the same configuration. */
  restart(name: 'lom' | 'lmm'): Promise<void>;
}

/** Starts an LMM and a LOM on free loopback ports. */
export async function startServicePair(options: ServicePairOptions): Promise<ServicePair> {
  const file = async (name: string, content: unknown): Promise<string> => {
    const path = join(options.directory, name);
    await writeFile(path, stringify(content), { mode: 0o600 });
    return path;
  };
  const inventory = await file('inventory.yaml', { nodes: options.nodes });
  const start = async (name: 'lom' | 'lmm', env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> =>
    startService(name, join(options.directory, `${name}.yaml`), {
      ...(name === 'lmm' ? options.lmmEnv : {}),
      ...env,
    });
  await file('lmm.yaml', { listen: '127.0.0.1:0', ...options.lmm });
  const lmm = await start('lmm');
  const settings = {
    listen: '127.0.0.1:0',
    plugins: options.plugins,
    inventory: [inventory],
    mediators: [lmm.address],
    store: join(options.directory, 'rune.db'),
  };
  try {
    await file('lom.yaml', { ...settings, ...options.lom });
    const current = { lmm, lom: await start('lom') };
    return {
      get lom() {
        return current.lom;
      },
      get lmm() {
        return current.lmm;
      },
      async restart(name) {
        await current[name].exited;
        current[name] = await start(name, { [`${name.toUpperCase()}_LISTEN`]: current[name].address });
      },
    };
  } catch (error) {
    await lmm.stop();
    throw error;
  }
}
