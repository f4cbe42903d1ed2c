import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BadLink, LinkEnd } from '../support/bad-link.js';
import { gate } from '../support/gate.js';
import type { Deed } from './journal.js';
import { CORRUPTION, LINK_DEEDS } from './link-deeds.js';
import {
  descendantsOf,
  readProcess,
  readProcessTable,
  signalProcess,
  type NamedProcess,
} from './node-processes.js';
import type { Random } from './random.js';
import type { Trace } from './trace.js';

/** A run of which the plugin has begun, and whose end nobody has told yet. */
export interface RunInFlight {
  readonly runId: string;
  readonly address: string;
  readonly trace: Trace;
}

/** What faults are made of. */
export interface FaultWorld {
  readonly random: Random;
  /** Addresses that may be hit. */
  readonly addresses: readonly string[];
  /** Open connections to those. */
  links(): readonly BadLink[];
  /** Their runs. */
  runs(): readonly RunInFlight[];
  /** What is done to the next connection to an address, before its first byte. */
  await(address: string, act: (link: BadLink) => void): void;
  /** Process id of the sshd that all nodes share, and what stands in the environment of its sessions on a node. */
  readonly sshdPid: number;
  /** No process of the world began before, in clock ticks since boot. */
  readonly since: number;
  markOf(address: string): string;
  temporaryDirectory(address: string): string;
  readonly stopped: StoppedProcesses;
  /** After this time a network that swallows everything resets the connection. */
  readonly swallowMs: number;
  /** Runs that lost one half of their supervisor: without the other one nobody would be left to end the plugin. */
  readonly halved: Set<string>;
  note(deed: Deed): void;
}

/** Processes that are stopped now. */
export interface StoppedProcesses {
  /** Stops one for so long; resolves when it goes on. */
  stop(process: NamedProcess, ms: number): Promise<void>;
  /** Lets all of them go on. */
  release(): void;
}

/** Does one thing to the world, or nothing where there is nothing to hit. */
type Fault = (world: FaultWorld) => void | Promise<void>;

const STOP_MS_MAX = 4_000;
/** Where in a connection's life things break: greeting, key exchange, login, upload, output. */
const STAGE_BYTES = [60, 1_500, 4_000, 30_000, 200_000];

const ENDS: readonly LinkEnd[] = ['caller', 'callee'];
const NOW = Promise.resolve();

const hitsOf = (name: string): Deed['hits'] => (name === CORRUPTION ? 'bytes' : 'link');

const hitOpenLink: Fault = (world) => {
  const { random, links, note } = world;
  const [name, act] = random.pick(Object.entries(LINK_DEEDS));
  const open = links();
  if (open.length === 0) return;
  const link = random.pick(open);
  note({
    on: 'node',
    what: `${name}, link ${link.id}`,
    address: link.address,
    hits: hitsOf(name),
    over: act(link, world),
  });
};

const hitNextLink: Fault = (world) => {
  const { random, swallowMs, note } = world;
  const address = random.pick(world.addresses);
  const [name, act] = random.pick(Object.entries(LINK_DEEDS));
  const bytes = random.int(0, random.pick(STAGE_BYTES));
  const end = random.pick(ENDS);
  const own = random.fork(`${address} ${bytes}`);
  world.await(address, (link) => {
    const what = `${name} after ${bytes} bytes to the ${end}, link ${link.id}`;
    note({ on: 'node', what, address, hits: hitsOf(name), over: link.closed });
    link.after(bytes, end, () => void act(link, { random: own, swallowMs }));
  });
};

/** The processes around one run on its node that live. */
function rolesOf({ trace }: RunInFlight, sshdPid: number): Readonly<Record<Role, readonly NamedProcess[]>> {
  const plugins = trace.plugins.filter(({ pid, startedAt }) => readProcess(pid)?.startedAt === startedAt);
  // Once a supervisor has ended, its number may name another process.
  const supervisors = trace.supervisorPids.flatMap((pid) => readProcess(pid) ?? []).filter(isSupervisor);
  const sessions: NamedProcess[] = [];
  let above = readProcess(supervisors[0]?.parent ?? 0);
  while (above !== undefined && above.pid !== sshdPid && above.command.startsWith('sshd')) {
    sessions.push(above);
    above = readProcess(above.parent);
  }
  return {
    plugin: plugins,
    'child of the plugin': plugins.flatMap(({ pid }) => descendantsOf(pid)),
    supervisor: supervisors,
    watchdog: supervisors.flatMap(({ pid }) => descendantsOf(pid)).filter(isSupervisor),
    sshd: sessions,
  };
}

const isSupervisor = ({ command }: { readonly command: string }): boolean => command.includes('RUNE1:');

type Role = 'plugin' | 'child of the plugin' | 'supervisor' | 'watchdog' | 'sshd';

const ROLES: readonly Role[] = ['plugin', 'child of the plugin', 'supervisor', 'watchdog', 'sshd'];

const HALVES: readonly Role[] = ['supervisor', 'watchdog'];

function signalOne(signal: 'SIGKILL' | 'SIGSTOP'): Fault {
  return ({ random, runs, sshdPid, stopped, halved, note }) => {
    const role = random.pick(ROLES);
    const ms = random.int(100, STOP_MS_MAX);
    const inFlight = runs();
    if (inFlight.length === 0) return;
    const run = random.pick(inFlight);
    const { runId, address } = run;
    if (signal === 'SIGKILL' && HALVES.includes(role) && halved.has(runId)) return;
    const candidates = rolesOf(run, sshdPid)[role];
    if (candidates.length === 0) return;
    const victim = random.pick(candidates);
    const isPlugins = role === 'plugin' || role === 'child of the plugin';
    const deed = {
      on: 'node' as const,
      address,
      // All runs of a connection have the same sshd.
      ...(role === 'sshd' ? {} : { runId }),
      hits: isPlugins ? ('plugin' as const) : ('link' as const),
    };
    if (signal === 'SIGSTOP') {
      note({
        ...deed,
        what: `STOP of the ${role} ${victim.pid} for ${ms} ms`,
        over: stopped.stop(victim, ms),
      });
      return;
    }
    if (HALVES.includes(role)) halved.add(runId);
    // Before the signal, since somebody may notice it at once.
    note({ ...deed, what: `KILL of the ${role} ${victim.pid}`, over: NOW });
    signalProcess(victim, 'SIGKILL');
  };
}

/** Everything on a node ends at once, and its temporary files are gone. */
const reboot: Fault = async (world) => {
  const { random, addresses, links, temporaryDirectory, note } = world;
  const address = random.pick(addresses);
  const isUp = gate();
  note({
    on: 'node',
    what: 'reboot',
    address,
    hits: 'link',
    over: isUp.opened,
  });
  // What is stopped forks nothing more: then nothing can slip through.
  const victims = new Map<number, NamedProcess>();
  for (let before = -1; before < victims.size;) {
    before = victims.size;
    for (const each of await processesOn(address, world)) {
      victims.set(each.pid, each);
      signalProcess(each, 'SIGSTOP');
    }
  }
  for (const each of victims.values()) signalProcess(each, 'SIGKILL');
  for (const link of links()) if (link.address === address) link.destroy();
  const folder = temporaryDirectory(address);
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
  isUp.open();
};

/** The logins on a node, their sshd, and everything that plugins started there. */
async function processesOn(address: string, world: FaultWorld): Promise<NamedProcess[]> {
  const table = await readProcessTable(world.since);
  const logins = table.withEnvironment(world.markOf(address));
  const started = table.withEnvironment(`TMPDIR=${world.temporaryDirectory(address)}/`);
  // A plugin's own shell begins without an environment.
  const above = [...logins, ...started]
    .flatMap(({ parent }) => table.get(parent) ?? [])
    .filter(({ pid, command }) => pid !== world.sshdPid && /^sshd|plugin\.sh/.test(command));
  return [...logins, ...logins.flatMap(({ pid }) => descendantsOf(pid)), ...started, ...above];
}

/** Every kind of fault, as often as it shall be chosen beside the others. */
const FAULTS: readonly Fault[] = [
  ...Array.from({ length: 4 }, () => hitOpenLink),
  ...Array.from({ length: 4 }, () => hitNextLink),
  ...Array.from({ length: 4 }, () => signalOne('SIGKILL')),
  ...Array.from({ length: 3 }, () => signalOne('SIGSTOP')),
  reboot,
];

/** Chooses a fault. */
export const drawFault = (random: Random): Fault => random.pick(FAULTS);

/** Makes an empty set of stopped processes. */
export function createStoppedProcesses(): StoppedProcesses {
  const releases = new Set<() => void>();
  return {
    stop(process, ms) {
      signalProcess(process, 'SIGSTOP');
      return new Promise((resolve) => {
        const release = (): void => {
          clearTimeout(timer);
          releases.delete(release);
          signalProcess(process, 'SIGCONT');
          resolve();
        };
        const timer = setTimeout(release, ms);
        releases.add(release);
      });
    },
    release() {
      releases.forEach((release) => release());
    },
  };
}
