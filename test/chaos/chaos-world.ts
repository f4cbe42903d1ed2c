import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startBadLinks, type BadLink, type BadLinks } from '../support/bad-link.js';
import { FLEET_SSHD, fleetAddresses } from '../support/fleet.js';
import { makeTempDirectory } from '../support/temp-directory.js';
import { makeTestBundle } from '../support/test-bundle.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { lockedApart, sshNode } from '../support/world.js';
import { startChaosServices, type ChaosServices } from './chaos-services.js';
import { readProcess } from './node-processes.js';
import { openTraces, type Traces } from './trace.js';

/** A node of the chaos: every second one logs in as root, every fifth one is reached by the transport openssh. */
export interface ChaosNode {
  readonly name: string;
  readonly address: string;
  /** Nothing is ever done to it: its runs come out as asked. */
  readonly isCalm: boolean;
  /** What is wrong with its logins, if anything is. */
  readonly flaw: Flaw | undefined;
}

/**
 * Logins that print megabytes first, take their time, end at once, take a part of the upload, and that can make no temporary
 * directory.
 */
export type Flaw = 'noisy' | 'slow' | 'closed' | 'greedy' | 'full';

/** Many nodes behind links that can be hurt, and the file in which plugins leave their traces. */
export interface ChaosWorld {
  readonly sshd: TestSshd;
  readonly services: ChaosServices;
  readonly nodes: readonly ChaosNode[];
  readonly links: BadLinks;
  readonly tracePath: string;
  readonly traces: Traces;
  /** When the first process of the world began, in clock ticks since boot. */
  readonly since: number;
  /** The temporary directory of a node. */
  temporaryDirectory(address: string): string;
  /** What stands in the environment of a node's logins. */
  markOf(address: string): string;
  /** What is done to the next connection to an address, before its first byte. */
  await(address: string, act: (link: BadLink) => void): void;
  stop(): Promise<void>;
}

/** The two actions, which are the same but for their delivery, and that only the second one locks its node. */
export const ACTIONS = { stream: 'leave-trace', directory: 'leave-trace-in-directory' } as const;

const NODES = 50;
const CALM_NODES = 10;
const NET = 2;
/** One node in so many is reached with the system's ssh. */
const OPENSSH_EVERY = 5;
/** A lost run keeps its node for minutes: nobody is to wait for that. */
const LOCK_WAIT = '2s';
/** As if each node had a temporary directory of its own. */
const BASHRC = 'read -r _ _ address _ <<<"$SSH_CONNECTION"; export TMPDIR="${HOME%/home/*}/tmp/$address/"\n';
/** What stands in the .bashrc of a node behind that. */
const FLAWS: Readonly<Record<Flaw, string>> = {
  noisy: 'printf -v noise %65536s; for i in {1..16}; do echo "$noise"; echo "$noise" >&2; done',
  slow: 'sleep 1',
  closed: 'echo "This account is closed." >&2; exit 1',
  greedy: 'read -r line',
  full: 'TMPDIR+=full',
};

/** Whether nothing can run on a node, by the action. */
export const cannotStart = ({ flaw }: ChaosNode, action: string): boolean =>
  flaw === 'closed' || flaw === 'greedy' || (flaw === 'full' && action === ACTIONS.directory);

/** Each flaw is that of two neighbours, of which one is reached by openssh. */
function flawOf(index: number): Flaw | undefined {
  const beyond = index % OPENSSH_EVERY;
  return beyond > 1 ? undefined : (Object.keys(FLAWS) as Flaw[])[Math.floor(index / OPENSSH_EVERY) - 1];
}

/** What of a network a mediator puts up with. */
export interface Patience {
  readonly connectTimeoutMs: number;
  /** A link whose other end says nothing for so many seconds is lost. */
  readonly silenceSeconds: number;
}

/** Starts sshd, relays, mediators and orchestrators. Connections without runs end after a second, so that many are made. */
export async function startChaosWorld({ connectTimeoutMs, silenceSeconds }: Patience): Promise<ChaosWorld> {
  const nodes = fleetAddresses(NODES, NET).map((address, index): ChaosNode => {
    const isCalm = index >= NODES - CALM_NODES;
    return { name: `node-${index + 1}`, address, isCalm, flaw: flawOf(index) };
  });
  const flaws = nodes.flatMap(({ address, flaw }) =>
    flaw === undefined ? [] : `${address}) ${FLAWS[flaw]} ;;`,
  );
  const awaited = new Map<string, (link: BadLink) => void>();
  const started: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.toReversed()) await end();
  };
  try {
    const directory = await makeTempDirectory();
    started.push(directory.remove);
    const sshd = await startSshd({
      ...FLEET_SSHD,
      loginFiles: { '.bashrc': `${BASHRC}case $address in\n${flaws.join('\n')}\nesac\n` },
    });
    started.push(sshd.stop);
    const links = await startBadLinks({
      route: (address) => ({ host: address, port: sshd.port }),
      onLink(link) {
        const act = awaited.get(link.address);
        awaited.delete(link.address);
        act?.(link);
      },
    });
    started.push(links.close);
    const { root, unprivileged } = sshd.users;
    const services = await startChaosServices({
      directory: directory.path,
      sshd,
      nodes: lockedApart(
        Object.fromEntries(
          nodes.map(({ name, address }, index) => {
            const login = sshNode(sshd, index % 2 === 0 ? root : unprivileged);
            const transport = index % OPENSSH_EVERY === 0 ? 'openssh' : 'ssh';
            return [name, { ...login, address, port: links.port, transport }];
          }),
        ),
      ),
      plugins: [await makeChaosBundle(directory.path)],
      lom: { connect_timeout: `${connectTimeoutMs}ms`, lock_queue_timeout: LOCK_WAIT },
      lmm: { ssh: { idle_max: '1s', keepalive_interval: '1s', keepalive_count_max: silenceSeconds } },
    });
    started.push(services.stop);
    const temporaryDirectory = (address: string): string => join(sshd.directory, 'tmp', address);
    for (const { address } of nodes) {
      await mkdir(temporaryDirectory(address), { recursive: true });
      await chmod(temporaryDirectory(address), 0o777);
    }
    const tracePath = join(sshd.directory, 'trace');
    await writeFile(tracePath, '');
    await chmod(tracePath, 0o666);
    const traces = await openTraces(tracePath);
    started.push(traces.close);
    return {
      sshd,
      services,
      nodes,
      links,
      tracePath,
      traces,
      since: readProcess(sshd.pid)?.startedAt ?? 0,
      temporaryDirectory,
      markOf: (address) => ` ${address} ${sshd.port}`,
      await: (address, act) => void awaited.set(address, act),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeChaosBundle(directory: string): Promise<string> {
  const bundle = await makeTestBundle(directory, 'chaos');
  const folder = join(bundle, ACTIONS.directory);
  await mkdir(folder);
  const manifest = await readFile(join(bundle, ACTIONS.stream, 'manifest.yaml'), 'utf8');
  const changed = manifest
    .replace(`action: ${ACTIONS.stream}`, `action: ${ACTIONS.directory}`)
    .replace('delivery: stream', 'delivery: directory')
    .replace('risk: read_only', 'risk: low');
  await writeFile(join(folder, 'manifest.yaml'), changed);
  await writeFile(join(folder, 'plugin.sh'), await readFile(join(bundle, ACTIONS.stream, 'plugin.sh')));
  return bundle;
}
