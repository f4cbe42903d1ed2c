import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';

const run = promisify(execFile);

/** What becomes of the packets to and from one node. Default: they pass at once. */
export interface PacketRule {
  /** One way. */
  readonly delayMs?: number;
  /** The share of packets that get lost, of 1. */
  readonly loss?: number;
  /** Larger packets to the node vanish; 0 for all of them. */
  readonly upBytesMax?: number;
  /** The same for packets from the node. */
  readonly downBytesMax?: number;
}

/** What became of them so far. */
export interface PacketCounts {
  readonly lost: number;
  /** The most bytes that were under way to the node at a time, and from there. */
  readonly upBytesMax: number;
  readonly downBytesMax: number;
}

/** A network namespace with many nodes, behind a link of real packets that can be as bad as links are. */
export interface BadNetwork {
  /** The file of the namespace. */
  readonly namespace: string;
  /** An address in there that nobody had yet. */
  newAddress(): string;
  /** An address in there to which a router has no route, and says so. */
  readonly unroutedAddress: string;
  /** Changes what becomes of the packets of a node, from the next one on. */
  setRule(address: string, rule: PacketRule): Promise<void>;
  counts(address: string): Promise<PacketCounts>;
  /** Takes the network away, with all of its devices and addresses. What runs in there must be over. */
  stop(): Promise<void>;
}

/** Every address of the network from this on is a node. */
const FIRST_NODE = 128;
const UNROUTED = 100;
/** As many bytes as a packet may have. */
const ANY = 65_535;

/**
 * Makes the network, of addresses that are kept free for measurements (198.18.0.0/15). Throws with the words of the kernel where
 * this machine does not allow namespaces or devices.
 */
export async function startBadNetwork(): Promise<BadNetwork> {
  const { pid } = process;
  const net = `198.${18 + (pid % 2)}.${(pid >> 1) % 256}`;
  const [near, far] = [`rune${pid}n`, `rune${pid}f`];
  const program = join(packageRoot, 'test', 'support', 'bad-network.py');
  const child = spawn('unshare', ['--net', '/usr/bin/python3', program, near, far], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done !== true) return value;
    await ended;
    throw new Error(`The link of packets is gone: ${words.trim().split('\n').at(-1)}`);
  };
  const namespace = `/proc/${child.pid}/ns/net`;
  const inside = (...words: string[]): Promise<unknown> => run('nsenter', [`--net=${namespace}`, ...words]);
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  try {
    await nextLine();
    await inside('ip', 'link', 'set', near, 'netns', String(pid));
    await run('ip', ['address', 'add', `${net}.1/24`, 'dev', near]);
    await run('ip', ['link', 'set', near, 'up']);
    await inside('ip', 'address', 'add', `${net}.2/24`, 'dev', far);
    await inside('ip', 'link', 'set', far, 'up');
    await inside('ip', 'link', 'set', 'lo', 'up');
    await inside('ip', 'route', 'add', 'local', `${net}.${FIRST_NODE}/25`, 'dev', 'lo');
    await inside('ip', 'route', 'add', 'unreachable', `${net}.${UNROUTED}`);
    await inside('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
  } catch (error) {
    await stop();
    throw error;
  }

  // Requests are answered in their order.
  let turn: Promise<unknown> = Promise.resolve();
  const ask = (request: string): Promise<PacketCounts> => {
    const answer = turn.then(async () => {
      child.stdin.write(`${request}\n`);
      const [lost = 0, upBytesMax = 0, downBytesMax = 0] = (await nextLine()).split(' ').map(Number);
      return { lost, upBytesMax, downBytesMax };
    });
    turn = answer.catch(() => undefined);
    return answer;
  };
  let last = FIRST_NODE;
  return {
    namespace,
    newAddress: () => `${net}.${last++}`,
    unroutedAddress: `${net}.${UNROUTED}`,
    async setRule(address, { delayMs = 0, loss = 0, upBytesMax = ANY, downBytesMax = ANY }) {
      await ask([address, delayMs, loss, upBytesMax, downBytesMax].join(' '));
    },
    counts: (address) => ask(`${address} ?`),
    stop,
  };
}
