import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync, readdirSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodePath } from './bash.js';
import { eventually } from './eventually.js';

const run = promisify(execFile);

const SSHD = '/usr/sbin/sshd';
/** The unprivileged login; a system user that is made when it is missing and left in place. */
const UNPRIVILEGED = 'rune-test';
const START_ATTEMPTS_MAX = 5;

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface SshdOptions {
  /** sshd's MaxSessions: channels a connection. */
  readonly maxSessions?: number;
  /** sshd's MaxStartups, such as "2:100:2". */
  readonly maxStartups?: string;
  /** More lines for sshd_config; they come first, and sshd takes the first value it sees. */
  readonly extraConfig?: readonly string[];
  /** Files in the home directory of both users by name, such as ".bashrc". The home holds nothing else. */
  readonly loginFiles?: Readonly<Record<string, string>>;
  /** Listen on every address of this machine, so that each of 127.0.0.0/8 is a node. */
  readonly everyAddress?: boolean;
  /** Do without the unprivileged login, so that no user has to be made. */
  readonly rootOnly?: boolean;
  /** Default: all three. */
  readonly hostKeyTypes?: readonly HostKeyType[];
  /** More variables of the server. */
  readonly env?: Readonly<Record<string, string>>;
  /** The file of the network namespace to run in, if not this one's. */
  readonly network?: string;
}

export interface TestHostKey {
  readonly type: HostKeyType;
  /** "SHA256:…", as OpenSSH prints it. */
  readonly fingerprint: string;
  /** Type and base64, as in a .pub file without its comment. */
  readonly publicKey: string;
  /** "[127.0.0.1]:PORT type base64". */
  readonly knownHostsLine: string;
}

/** A real OpenSSH server on loopback, alone in the world: own keys, own homes, own log. */
export interface TestSshd {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** The logins that accept the user key. */
  readonly users: { readonly root: 'root'; readonly unprivileged: typeof UNPRIVILEGED };
  /** Absolute path of the private key (ed25519, no passphrase) that both users accept. */
  readonly userKeyPath: string;
  readonly hostKeys: readonly TestHostKey[];
  readonly hostKeyFingerprints: readonly string[];
  readonly knownHostsLines: readonly string[];
  /** A directory of this server that goes away with it: for keys and known_hosts files of a test. */
  readonly directory: string;
  /** Home directory of a user, as its sessions see it. */
  home(user: string): string;
  /** Process id of the listener. */
  readonly pid: number;
  /** Process ids of sshd's own processes behind the accepted connections. */
  sessionPids(): number[];
  /** Every process below the listener: sessions and what they run. */
  descendants(): number[];
  /** Sends a signal to the listener alone; sessions go on. */
  signalListener(signal: NodeJS.Signals): void;
  /** Sends a signal to sshd's processes behind the accepted connections, not to what they run. */
  signalSessions(signal: NodeJS.Signals): void;
  /** What sshd wrote so far (LogLevel VERBOSE). */
  log(): string;
  /** How many logins were accepted so far: one for each connection that authenticated. */
  loginCount(): number;
  /** Ends every process of this server and removes every file. Harmless when called twice. */
  stop(): Promise<void>;
}

/** Starts an sshd on a free loopback port. Needs root and openssh-server; says so when one is missing. */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  await requireRootAndSshd();
  if (options.rootOnly !== true) await ensureUnprivilegedUser();
  const directory = await mkdtemp(join(tmpdir(), 'rune-sshd-'));
  try {
    return await startIn(directory, options);
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(directory: string, options: SshdOptions): Promise<TestSshd> {
  // sshd reads authorized_keys with the rights of the user who logs in.
  await chmod(directory, 0o755);
  const types = options.hostKeyTypes ?? ['ed25519', 'ecdsa', 'rsa'];
  const userKeyPath = join(directory, 'user_key');
  await Promise.all([
    generateKey('ed25519', userKeyPath),
    ...types.map((type) => generateKey(type, join(directory, `host_${type}`))),
  ]);
  await writeFile(join(directory, 'authorized_keys'), await readFile(`${userKeyPath}.pub`));
  await makeHome(directory, 'root', options.loginFiles ?? {});
  if (options.rootOnly !== true) await makeHome(directory, UNPRIVILEGED, options.loginFiles ?? {});

  const logPath = join(directory, 'log');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    await writeFile(join(directory, 'config'), await configText(directory, port, types, options));
    await writeFile(logPath, '');
    const args = ['-D', '-f', join(directory, 'config'), '-E', logPath];
    const [program, words] =
      options.network === undefined ? [SSHD, args] : ['nsenter', [`--net=${options.network}`, SSHD, ...args]];
    const child = spawn(program, words, {
      stdio: 'ignore',
      env: { ...process.env, ...options.env },
    });
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const listening = eventually(
      () => {
        if (!isAlive(child)) throw new Error(`sshd ended at once: ${readFileSync(logPath, 'utf8')}`);
        return readFileSync(logPath, 'utf8').includes(
          `Server listening on ${listenAddress(options)} port ${port}`,
        );
      },
      { label: 'sshd to listen' },
    );
    try {
      await Promise.race([listening, exited.then(() => listening)]);
    } catch (error) {
      child.kill('SIGKILL');
      // Another process may have taken the port between looking for it and binding it.
      if (attempt < START_ATTEMPTS_MAX && readFileSync(logPath, 'utf8').includes('Address already in use'))
        continue;
      throw error;
    }
    const hostKeys = await Promise.all(types.map((type) => readHostKey(directory, type, port)));
    return describe({ directory, port, child, exited, hostKeys, userKeyPath, logPath });
  }
}

interface Started {
  readonly directory: string;
  readonly port: number;
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  readonly hostKeys: readonly TestHostKey[];
  readonly userKeyPath: string;
  readonly logPath: string;
}

function describe(started: Started): TestSshd {
  const { directory, port, child, exited, hostKeys, userKeyPath, logPath } = started;
  const pid = child.pid ?? 0;
  // Sessions lose their parent with the listener, so what was below it is remembered before it is signalled.
  const seen = new Map<number, string>();
  let stopped: Promise<void> | undefined;

  const descendants = (): number[] => {
    // First, because the number of a process that ended may name another one by now.
    for (const [known, startedAt] of seen) if (readStat(known)?.startedAt !== startedAt) seen.delete(known);
    const roots = isAlive(child) ? [pid, ...seen.keys()] : [...seen.keys()];
    for (const found of processesBelow(roots)) seen.set(found.pid, found.startedAt);
    return [...seen.keys()];
  };
  const sessionPids = (): number[] =>
    descendants().filter((candidate) => readStat(candidate)?.name.startsWith('sshd'));
  const signalListener = (signal: NodeJS.Signals): void => {
    descendants();
    child.kill(signal);
  };
  const signalSessions = (signal: NodeJS.Signals): void =>
    sessionPids().forEach((each) => sendSignal(each, signal));

  const stop = async (): Promise<void> => {
    // A stopped listener makes no new session while its sessions are looked for.
    signalListener('SIGSTOP');
    for (const each of descendants()) sendSignal(each, 'SIGKILL');
    for (const each of marked(directory)) sendSignal(each, 'SIGKILL');
    signalListener('SIGKILL');
    await exited;
    await eventually(() => descendants().length === 0 && marked(directory).length === 0, {
      label: 'every process of sshd to end',
    });
    await rm(directory, { recursive: true, force: true });
  };

  return {
    host: '127.0.0.1',
    port,
    users: { root: 'root', unprivileged: UNPRIVILEGED },
    userKeyPath,
    hostKeys,
    hostKeyFingerprints: hostKeys.map((key) => key.fingerprint),
    knownHostsLines: hostKeys.map((key) => key.knownHostsLine),
    directory,
    home: (user) => homeOf(directory, user),
    pid,
    sessionPids,
    descendants,
    signalListener,
    signalSessions,
    log: () => readFileSync(logPath, 'utf8'),
    loginCount: () => readFileSync(logPath, 'utf8').match(/^Accepted publickey/gm)?.length ?? 0,
    stop: () => (stopped ??= stop()),
  };
}

const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

async function requireRootAndSshd(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('A test sshd logs in as root and as another user: run the tests as root.');
  try {
    await readFile(SSHD);
  } catch {
    throw new Error(`${SSHD} is missing: apt-get install openssh-server`);
  }
  // The directory that Debian's service file makes; sshd refuses to start without it.
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
}

async function ensureUnprivilegedUser(): Promise<void> {
  await eventually(
    async () => {
      if (await succeeds('getent', ['passwd', UNPRIVILEGED])) return true;
      // The password "*" fits nothing, and unlike the default "!" it does not lock the account.
      const args = ['--system', '--create-home', '--shell', '/bin/bash', '--password', '*', UNPRIVILEGED];
      return succeeds('useradd', args);
    },
    { label: `useradd ${UNPRIVILEGED}` },
  );
}

async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, args);
    return true;
  } catch {
    return false;
  }
}

async function generateKey(type: HostKeyType, path: string): Promise<void> {
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  await run('ssh-keygen', ['-q', '-t', type, ...bits, '-N', '', '-C', '', '-f', path]);
}

async function readHostKey(directory: string, type: HostKeyType, port: number): Promise<TestHostKey> {
  const publicKey = (await readFile(join(directory, `host_${type}.pub`), 'utf8')).trim();
  const blob = Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
  const fingerprint = `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
  return { type, fingerprint, publicKey, knownHostsLine: `[127.0.0.1]:${port} ${publicKey}` };
}

const homeOf = (directory: string, user: string): string => join(directory, 'home', user);

async function makeHome(
  directory: string,
  user: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const home = homeOf(directory, user);
  await mkdir(home, { recursive: true });
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, user])).stdout)),
  );
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text);
  for (const path of [home, ...Object.keys(files).map((name) => join(home, name))]) {
    await chown(path, uid ?? 0, gid ?? 0);
  }
}

const listenAddress = ({ everyAddress }: SshdOptions): string =>
  everyAddress === true ? '0.0.0.0' : '127.0.0.1';

async function configText(
  directory: string,
  port: number,
  types: readonly HostKeyType[],
  options: SshdOptions,
): Promise<string> {
  return [
    ...(options.extraConfig ?? []),
    `Port ${port}`,
    `ListenAddress ${listenAddress(options)}`,
    ...types.map((type) => `HostKey ${join(directory, `host_${type}`)}`),
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
    `MaxSessions ${options.maxSessions ?? 10}`,
    `MaxStartups ${options.maxStartups ?? '10:30:100'}`,
    // Without PAM sshd refuses locked accounts; with it, it may need capabilities that a container lacks.
    `UsePAM ${(await isRootLocked()) ? 'yes' : 'no'}`,
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'PidFile none',
    'UseDNS no',
    'PrintMotd no',
    'PrintLastLog no',
    'LogLevel VERBOSE',
    // The mark finds processes that left their session; the home keeps the machine's own login files out.
    ...['root', UNPRIVILEGED].flatMap((user) => [
      `Match User ${user}`,
      `SetEnv HOME=${homeOf(directory, user)} ${MARK}=${directory} PATH=${nodePath}`,
    ]),
    '',
  ].join('\n');
}

async function isRootLocked(): Promise<boolean> {
  const shadow = await readFile('/etc/shadow', 'utf8');
  return /^root:!/m.test(shadow);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

const MARK = 'TEST_SSHD';

interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** Clock ticks since boot: with the pid it names one process for good. */
  readonly startedAt: string;
}

/** Undefined for a process that is gone or a zombie. */
function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // It ended.
  }
  const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, parent: Number(fields[1]), name, startedAt: fields[19] ?? '' };
}

const allPids = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger);

function processesBelow(roots: readonly number[]): ProcessStat[] {
  const all = allPids().flatMap((pid) => readStat(pid) ?? []);
  const below = new Set(roots);
  const found: ProcessStat[] = [];
  for (let before = -1; before !== found.length;) {
    before = found.length;
    for (const each of all) {
      if (!below.has(each.pid) && below.has(each.parent)) {
        below.add(each.pid);
        found.push(each);
      }
    }
  }
  return found;
}

/** Living processes whose environment holds the mark of this server. */
function marked(directory: string): number[] {
  return allPids().filter((pid) => {
    try {
      return (
        readStat(pid) !== undefined &&
        readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${MARK}=${directory}`)
      );
    } catch {
      return false; // It ended, or it is a kernel thread.
    }
  });
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile, which is what the signal is for.
  }
}
