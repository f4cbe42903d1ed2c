import { existsSync } from 'node:fs';
import { RuneError } from '../../../shared/errors.js';
import { settledWithin } from '../../../shared/settled-within.js';
import { explainTimeout } from '../ssh/connect-errors.js';
import {
  failedBefore,
  type Connect,
  type ConnectContext,
  type ConnectLimits,
  type ConnectProgress,
  type ConnectResult,
  type SshConnection,
} from '../ssh/connection.js';
import { readKnown } from '../ssh/read-known.js';
import type { SshTarget } from '../ssh/ssh-target.js';
import type { KnownHosts } from '../ssh/known-hosts.js';
import { describeSshLoss, explainSsh } from './explain-ssh.js';
import { openSession } from './session.js';
import { spawnMaster } from './spawn-ssh.js';
import {
  masterArguments,
  sessionArguments,
  wayConfig,
  type SshHop,
  type SshLimits,
} from './ssh-arguments.js';
import { sshEnvironment, type Env } from './ssh-environment.js';
import { createSshLog, type SshLog } from './ssh-log.js';
import type { SshProgram } from './ssh-program.js';
import { trustedLines } from './trusted-lines.js';
import type { HostFiles, MasterFiles, Workspace } from './workspace.js';

/** What every master is made with. */
export interface MasterTools {
  readonly program: SshProgram;
  readonly workspace: Workspace;
  readonly configFile: string | undefined;
  readonly env: Env;
  /** Those that are alive. */
  readonly masters: Set<Master>;
}

/** How often a master is looked at for the socket that says it is ready. */
const READY_CHECK_MS = 20;
/** How long a master may take to end when it is asked to. */
const GOODBYE_TIMEOUT_MS = 2_000;
/** How long the last words of an ssh that has ended are waited for, or the end of the one that a session depended on. */
const LAST_WORDS_MS = 500;

/** Connects with the system's ssh: one process for each connection, which serves the sessions through its control socket. */
export function connectWith(tools: MasterTools): Connect {
  return async (target, context, limits, progress) => {
    let files: MasterFiles | undefined;
    try {
      progress.phase = 'dialling';
      const chain = [...wayTo(target), target];
      for (const host of chain) {
        if (host.pins.length > 0 && !tools.program.checksPins) throw cannotCheckPins(host, tools.program);
      }
      const known = await readKnown(target, context.knownHosts);
      const made = await tools.workspace.filesFor(
        chain.map((host) => ({ knownHosts: trustedLines(host, known), pins: host.pins })),
      );
      files = made;
      const hops = chain.map((host, index) => ({ target: host, files: made.hosts[index] as HostFiles }));
      const way = hops.slice(0, -1);
      const times: SshLimits = { ...context.settings, connectTimeoutMs: limits.leftMs };
      const configFile =
        way.length > 0 ? await made.writeConfig(wayConfig(way, tools.configFile, times)) : tools.configFile;
      const argv = masterArguments({
        target: hops.at(-1) as SshHop,
        way,
        socket: made.socket,
        configFile,
        limits: times,
      });
      if (limits.signal.aborted) throw givenUp(target);
      const result = await startMaster({
        argv,
        chain,
        target,
        known,
        files,
        tools,
        context,
        limits,
        progress,
      });
      if (!result.ok) await files.remove();
      return result;
    } catch (error) {
      await files?.remove();
      return failedBefore(error);
    }
  };
}

/** The hosts on the way to a node, from the mediator on. */
const wayTo = ({ via }: SshTarget): SshTarget[] => (via === undefined ? [] : [...wayTo(via), via]);

interface Attempt {
  readonly argv: readonly string[];
  /** The hosts on the way and the node. */
  readonly chain: readonly SshTarget[];
  readonly target: SshTarget;
  readonly known: KnownHosts;
  readonly files: MasterFiles;
  readonly tools: MasterTools;
  readonly context: ConnectContext;
  readonly limits: ConnectLimits;
  readonly progress: ConnectProgress;
}

function startMaster(attempt: Attempt): Promise<ConnectResult> {
  const { target, files, tools, context, limits, progress } = attempt;
  const { timeoutMs, leftMs, signal } = limits;
  return new Promise((resolve) => {
    const log = createSshLog();
    let master: Master | undefined;
    let readyCheck: NodeJS.Timeout | undefined;
    let holdTimer: NodeJS.Timeout | undefined;
    let settled = false;

    const settle = (result: ConnectResult): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      clearTimeout(holdTimer);
      clearInterval(readyCheck);
      signal.removeEventListener('abort', onAbort);
      leavePlace();
      if (!result.ok) master?.kill();
      resolve(result);
    };
    const fail = (error: RuneError, dropped = false): void =>
      settle({ ok: false, error, dropped, hostKey: log.hostKey, offered: [] });
    const onAbort = (): void => fail(givenUp(target));
    const timer = setTimeout(() => fail(explainTimeout(target, progress.phase, timeoutMs)), leftMs);
    signal.addEventListener('abort', onAbort);

    const start = async (): Promise<void> => {
      progress.phase = log.phase;
      holdTimer = setTimeout(() => leavePlace(), context.settings.handshakeHoldMs);
      const started = await runMaster(attempt, log);
      master = started;
      if (settled) return started.kill();
      void started.ended.then((end) => {
        const { version } = tools.program;
        const { error, dropped } = explainSsh({ target, log, known: attempt.known, version, end, timeoutMs });
        fail(error, dropped);
      });
      readyCheck = setInterval(() => {
        progress.phase = log.phase;
        // ssh makes it when it has logged in and listens, under this name only then.
        if (existsSync(files.socket))
          settle({ ok: true, connection: watchMaster(attempt, started, log), offered: [] });
      }, READY_CHECK_MS);
    };
    progress.phase = 'queued';
    let leavePlace = (): void => undefined;
    leavePlace = context.handshakes.take(() => {
      start().catch((error: unknown) => fail(RuneError.from(error)));
    });
  });
}

/** The process of a master. */
export interface Master {
  /** Resolves once with how it ended, as a clause, when its last words are in the log. */
  readonly ended: Promise<string>;
  readonly isAlive: () => boolean;
  readonly terminate: () => void;
  readonly kill: () => void;
}

async function runMaster({ argv, chain, target, tools }: Attempt, log: SshLog): Promise<Master> {
  const credentials = chain.map(({ credential }) => credential);
  const environment = sshEnvironment(tools.env, credentials);
  const child = await spawnMaster({ program: tools.program.path, argv, environment, node: target.node });
  let alive = true;
  child.stderr.on('data', log.push);
  const silent = new Promise<void>((resolve) => child.stderr.once('close', () => resolve()));
  const ended = new Promise<string>((resolve) => {
    const settle = async (end: string): Promise<void> => {
      alive = false;
      tools.masters.delete(master);
      await settledWithin(silent, LAST_WORDS_MS);
      child.stderr.destroy();
      resolve(end);
    };
    child.once('exit', (code, signal) => {
      void settle(
        signal === null
          ? `the system's ssh ended with exit code ${code}`
          : `the system's ssh was killed by ${signal}`,
      );
    });
  });
  const master: Master = {
    ended,
    isAlive: () => alive,
    terminate: () => child.kill('SIGTERM'),
    kill: () => child.kill('SIGKILL'),
  };
  tools.masters.add(master);
  return master;
}

function watchMaster(attempt: Attempt, master: Master, log: SshLog): SshConnection {
  const { target, files, tools, context } = attempt;
  const environment = sshEnvironment(tools.env);
  const trustedBy = (known: KnownHosts): string =>
    attempt.chain.map((host) => trustedLines(host, known)).join('\n');
  const trusted = trustedBy(attempt.known);
  let ending: string | undefined;
  let reason = 'the node closed the connection';
  log.forgetWords();
  const lost = master.ended.then((end) => (reason = ending ?? describeSshLoss(log, end, context.settings)));
  const closed = lost.then(async () => {
    await files.remove();
    return reason;
  });
  return {
    hostKey: log.hostKey ?? { type: '', fingerprint: '' },
    get isOpen() {
      return ending === undefined && master.isAlive();
    },
    closed,
    reason: () => ending ?? reason,
    // Nothing but this process goes through these hosts.
    presented: [],
    forward: () => Promise.resolve({ kind: 'refused', why: 'is reached with the ssh of the system' }),
    isTrustedBy: (known) => trustedBy(known) === trusted,
    async exec(command) {
      if (ending !== undefined || !master.isAlive()) return { kind: 'dead' };
      return openSession({
        ssh: {
          program: tools.program.path,
          argv: sessionArguments(target, files.socket, command),
          environment,
          node: target.node,
        },
        async lossReason() {
          // A master that has ended tells soon why, however busy this process is.
          if (!master.isAlive() || (await settledWithin(lost, LAST_WORDS_MS))) return lost;
          return 'its session ended without a status: the connection broke, or the shell on the node was killed or left with exit code 255';
        },
      });
    },
    end() {
      ending ??= 'the mediator closed the connection';
      master.terminate();
      const timer = setTimeout(master.kill, GOODBYE_TIMEOUT_MS);
      void closed.then(() => clearTimeout(timer));
    },
    destroy() {
      ending ??= 'the mediator gave the connection up';
      master.kill();
    },
  };
}

function cannotCheckPins({ node }: SshTarget, { version }: SshProgram): RuneError {
  const message =
    `${node} has pinned fingerprints, which ${version} on this mediator cannot check: that takes OpenSSH 8.5. ` +
    `Update it, or remove the pins and put the key into a known_hosts file.`;
  return new RuneError('HOST_KEY_UNKNOWN', message, { node });
}

const givenUp = (target: SshTarget): RuneError =>
  new RuneError('CALL_CANCELLED', `Connecting to ${target.node} was given up.`, { node: target.node });
