import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import { packageRoot } from '../../shared/process/package-root.js';
import type { LocalServicesOptions } from '../commands/run.js';
import { ownCredential } from './own-credential.js';
import { type LocalService, startService } from './start-service.js';

/** LOM and LMM on this machine. */
export interface LocalServices {
  /** Where LOM listens. */
  readonly address: string;
  /** Settles when one of them ends by itself. */
  readonly failed: Promise<LocalService>;
  /** Stops LOM, then LMM, and removes what was made for them. */
  stop(): Promise<void>;
}

/** The inventory where none is given: this machine, without SSH. */
const THIS_MACHINE = 'nodes:\n  localhost:\n    transport: local\n    address: localhost\n';

/** Variables that would make the services speak TLS, which is for services that others can reach. */
const TLS_VARIABLE = /^(?:LOM|LMM)_(?:MEDIATOR_)?TLS_/;

type Env = Readonly<Record<string, string | undefined>>;

/** Paths as a list in a variable. */
function listOf(paths: readonly string[], flag: string): string {
  const comma = paths.find((path) => path.includes(','));
  if (comma === undefined) return paths.join(',');
  throw new RuneError(
    'COMMAND_INVALID',
    `${flag} ${comma}: a path with a comma cannot be handed to the service.`,
  );
}

/** The variables of both services over what the person has set for them. */
async function variables(
  options: LocalServicesOptions & { readonly listen: string; readonly env: Env },
  directory: string,
): Promise<{ lmm: Env; lom: (mediator: string) => Env }> {
  const inventories = options.inventories.map((file) => resolve(file));
  if (inventories.length === 0) {
    const file = join(directory, 'inventory.yaml');
    await writeFile(file, THIS_MACHINE, { mode: 0o600 });
    inventories.push(file);
  }
  const plugins =
    options.plugins.length === 0
      ? [join(packageRoot, 'plugins')]
      : options.plugins.map((path) => resolve(path));
  const [pluginList, inventoryList] = [listOf(plugins, '--plugins'), listOf(inventories, '--inventory')];
  const credential =
    options.lmmConfig === undefined && options.env['LMM_CREDENTIALS'] === undefined
      ? await ownCredential(options.env)
      : undefined;
  return {
    lmm: {
      LMM_LISTEN: '127.0.0.1:0',
      LMM_LOCAL_ENABLED: 'true',
      ...(credential === undefined ? {} : { LMM_CREDENTIALS: JSON.stringify({ default: credential }) }),
    },
    lom: (mediator) => ({
      LOM_LISTEN: options.listen,
      LOM_PLUGINS: pluginList,
      LOM_INVENTORY: inventoryList,
      LOM_MEDIATORS: mediator,
      LOM_STORE: options.env['LOM_STORE'] ?? join(directory, 'rune.db'),
    }),
  };
}

/**
 * Starts LMM on a free port and LOM at `listen`, both on loopback, and waits until both answer. Throws what
 * `startService` says of the one that does not; nothing is left running then.
 */
export async function startServices(
  options: LocalServicesOptions & {
    readonly listen: string;
    readonly env: Env;
    readonly signal: AbortSignal;
    onLine?(name: string, line: string): void;
  },
): Promise<LocalServices> {
  const { signal, onLine } = options;
  const env = Object.fromEntries(Object.entries(options.env).filter(([name]) => !TLS_VARIABLE.test(name)));
  const directory = await mkdtemp(join(tmpdir(), 'rune-up-'));
  const started: LocalService[] = [];
  const stop = async () => {
    for (const service of started.toReversed()) await service.stop();
    await rm(directory, { recursive: true, force: true });
  };
  const start = async (name: 'lom' | 'lmm', own: Env, config?: string) => {
    const service = await startService({
      name,
      ...(config === undefined ? {} : { config: resolve(config) }),
      env: { ...env, ...own },
      signal,
      ...(onLine === undefined ? {} : { onLine }),
    });
    started.push(service);
    return service;
  };
  try {
    const { lmm, lom } = await variables(options, directory);
    const mediator = await start('lmm', lmm, options.lmmConfig);
    const orchestrator = await start('lom', lom(mediator.address));
    return {
      address: orchestrator.address,
      failed: Promise.race(started.map((service) => service.exited.then(() => service))),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
