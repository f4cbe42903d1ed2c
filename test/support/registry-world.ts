import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createClient, type LomClient } from '../../services/cli/client.js';
import { ModuleType } from '../../services/shared/gen/rune/v1/mrs.js';
import {
  ListModulesRequest,
  ModuleState,
  RegistryServiceService,
  type RegisteredModule,
} from '../../services/shared/gen/rune/v1/registry.js';
import { createRpcClient, type RpcClient } from '../../services/shared/rpc/rpc-client.js';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';
import { startPostgres } from './postgres.js';
import { startService, type ServiceProcess } from './service-process.js';
import { startSshd, type TestSshd } from './sshd.js';
import { makeTempDirectory } from './temp-directory.js';
import { makeTestBundle } from './test-bundle.js';
import { sshNode } from './world.js';

/** Addresses on which the orchestrators listen, one after the other. */
const LOMS = 2;
const PAGE_MAX = 1_000;
/** Between looks, which are calls: more of them would only slow down what they wait for. */
const PAUSE_MS = 100;

/** An orchestrator and those who call it. */
export interface Orchestrator {
  readonly process: ServiceProcess;
  readonly client: LomClient;
  readonly registry: RpcClient<RegistryServiceService>;
}

/** Two orchestrators over one PostgreSQL, mediators that register with them, and nodes by SSH. */
export interface RegistryWorld {
  readonly directory: string;
  /** The bundle directory of both orchestrators, and where append-run writes run ids. */
  readonly bundle: string;
  readonly appended: string;
  readonly sshd: TestSshd;
  /** Names of the nodes without a zone, and the one of the zone "far". */
  readonly nodes: readonly string[];
  readonly farNode: string;
  readonly loms: readonly Orchestrator[];
  /** Starts one at the address of the one that ended there. */
  restartLom(index: number): Promise<void>;
  /** Starts a mediator, at a free address unless it is given one, and waits until every orchestrator chooses it. */
  startMediator(fields?: {
    readonly zone?: string;
    readonly listen?: string;
    /** Where orchestrators reach it, and where it reaches them, if that is elsewhere. */
    readonly advertise?: string;
    readonly lomAddresses?: readonly string[];
  }): Promise<ServiceProcess>;
  /** The mediators that are registered and well, as the first orchestrator knows them. */
  mediators(): Promise<RegisteredModule[]>;
  stop(): Promise<void>;
}

const addressOf = (module: RegisteredModule): string =>
  module.registration?.capabilityDeclaration?.serviceMetadata?.address ?? '';
const isWell = ({ state }: RegisteredModule): boolean =>
  state === ModuleState.ACTIVE || state === ModuleState.AVAILABLE;

/** Starts the world without any mediator; `count` is that of the nodes without a zone. */
export async function startRegistryWorld(count: number): Promise<RegistryWorld> {
  const directory = await makeTempDirectory();
  const [sshd, postgres] = await Promise.all([startSshd({ rootOnly: true }), startPostgres()]);
  const store = await postgres.createDatabase();
  const bundle = await makeTestBundle(directory.path, 'durable');
  // What changes nothing takes no lock of its node: a run that is lost would keep it for minutes.
  const manifest = join(bundle, 'append-run', 'manifest.yaml');
  const text = await readFile(manifest, 'utf8');
  await writeFile(manifest, text.replace('risk: low', 'risk: read_only'));
  const nodes = Array.from({ length: count }, (_, index) => `node-${index}`);
  const farNode = 'far-node';
  const file = (name: string): string => join(directory.path, name);
  const node = sshNode(sshd, sshd.users.root);
  const ports: number[] = [];
  for (let index = 0; index < LOMS; index += 1) ports.push(await freePort());
  await directory.write({
    'inventory.yaml': stringify(
      {
        nodes: {
          ...Object.fromEntries(nodes.map((name) => [name, node])),
          [farNode]: { ...node, zone: 'far' },
        },
      },
      { aliasDuplicateObjects: false },
    ),
    'lom.yaml': stringify({
      plugins: [bundle],
      plugins_recheck: '200ms',
      inventory: [file('inventory.yaml')],
      mediators: [],
      mediator_heartbeat: '200ms',
      mediator_grace: '1s',
      modules: { record_interval: '200ms' },
      store,
      lease: '2s',
      kill_grace: '1s',
      shutdown_grace: '1s',
    }),
    'lmm.yaml': stringify({
      listen: '127.0.0.1:0',
      lom_addresses: ports.map((port) => `127.0.0.1:${port}`),
      known_hosts: [],
      credentials: { default: { key_files: [sshd.userKeyPath] } },
      shutdown_grace: '10s',
    }),
  });
  const startLom = async (index: number): Promise<Orchestrator> => {
    const address = `127.0.0.1:${ports[index]}`;
    return {
      process: await startService('lom', file('lom.yaml'), { LOM_LISTEN: address }),
      client: createClient({ address }),
      registry: createRpcClient(RegistryServiceService, { address }),
    };
  };
  const loms: Orchestrator[] = [];
  // The first one makes the schema.
  for (let index = 0; index < LOMS; index += 1) loms.push(await startLom(index));
  const started: ServiceProcess[] = [];

  const wellAt = async ({ registry }: Orchestrator): Promise<RegisteredModule[]> => {
    const request = ListModulesRequest.fromPartial({ moduleType: ModuleType.MEDIATOR, pageSize: PAGE_MAX });
    return (await registry.listModules(request)).modules.filter(isWell);
  };

  return {
    directory: directory.path,
    bundle,
    appended: file('appended'),
    sshd,
    nodes,
    farNode,
    loms,
    async restartLom(index) {
      const lom = loms[index] as Orchestrator;
      await lom.process.exited;
      loms[index] = await startLom(index);
      lom.client.close();
      lom.registry.close();
    },
    async startMediator({ zone, listen, advertise, lomAddresses } = {}) {
      const mediator = await startService('lmm', file('lmm.yaml'), {
        ...(zone === undefined ? {} : { LMM_ZONE: zone }),
        ...(listen === undefined ? {} : { LMM_LISTEN: listen }),
        ...(advertise === undefined ? {} : { LMM_ADVERTISE: advertise }),
        ...(lomAddresses === undefined ? {} : { LMM_LOM_ADDRESSES: lomAddresses.join() }),
      });
      started.push(mediator);
      const address = advertise ?? mediator.address;
      for (const lom of loms) {
        const label = `the mediator ${address} at the orchestrator ${lom.process.address}`;
        const isThere = async (): Promise<boolean> =>
          (await wellAt(lom)).some((module) => addressOf(module) === address);
        await eventually(isThere, { label, pauseMs: PAUSE_MS });
      }
      return mediator;
    },
    mediators: () => wellAt(loms[0] as Orchestrator),
    async stop() {
      for (const { client, registry } of loms) {
        client.close();
        registry.close();
      }
      const processes = [...started, ...loms.map(({ process }) => process)];
      for (const process of processes) process.kill('SIGKILL');
      await Promise.all(processes.map((process) => process.exited));
      await postgres.stop();
      await sshd.stop();
      await directory.remove();
    },
  };
}
