import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir, userInfo, type UserInfo } from 'node:os';
import type { NodeProbe } from '../../shared/gen/rune/v1/run.js';
import { RuneError } from '../../shared/errors.js';
import type { Channel, ChannelEnd } from './channel.js';
import { checkCommand } from './check-command.js';
import { forLogin, remoteCommand } from './remote-command.js';
import { superviseRun, type NodeProtocolSettings } from './supervise.js';
import type { NodeCommand, NodeEnding, RunSink, StopSignal, Transport } from './transport.js';

/** What the local transport is made with. */
export interface LocalTransportOptions {
  readonly settings: NodeProtocolSettings;
}

/** What a login gives as well; nothing else of this service's environment reaches a plugin. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Node.js gives a child sockets, and a socket cannot be opened again as /dev/stdout or /dev/stderr; over a link it is a
 * pipe, so it is one here too.
 */
const PIPES = '> >(exec cat) 2> >(exec cat >&2)';

/** Runs plugins on the mediator's own host, each in a session of its own, with nothing of this service's environment. */
export function createLocalTransport({ settings }: LocalTransportOptions): Transport {
  let closed = false;
  return {
    name: 'local',
    async run(asked: NodeCommand, sink: RunSink, stop: StopSignal): Promise<NodeEnding> {
      if (closed) throw new RuneError('SERVICE_SHUTTING_DOWN', 'The local transport is closed.');
      checkCommand(asked);
      const user = userInfo();
      const command = forLogin(asked, user.username);
      return superviseRun(openLocalChannel(command, user), { command, sink, stop, connectMs: 0, settings });
    },
    async probe(): Promise<NodeProbe> {
      return {
        hostKeyFingerprint: '',
        hostKeyType: '',
        hostKeyAccepted: true,
        authenticated: true,
        connect: { seconds: 0, nanos: 0 },
        error: undefined,
        mediator: '',
        hostKeys: [],
        knownHostsName: '',
        ssmAgent: undefined,
      };
    },
    async close(): Promise<void> {
      closed = true;
    },
  };
}

function openLocalChannel(command: NodeCommand, user: UserInfo<string>): Channel {
  const line = `${remoteCommand(command)} ${PIPES}`;
  const child = spawn('bash', ['--noprofile', '--norc', '-p', '-c', line], {
    detached: true,
    cwd: existsSync(user.homedir) ? user.homedir : '/',
    env: {
      PATH,
      HOME: user.homedir,
      USER: user.username,
      LOGNAME: user.username,
      SHELL: user.shell ?? '/bin/sh',
      LANG: 'C.UTF-8',
      // Where this host keeps temporary files, which an operator may have moved for good reasons.
      TMPDIR: tmpdir(),
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    ended: endOf(child),
    // The supervisor takes the end of its lease for the end of the run, and ends what it started.
    destroy: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}

function endOf(child: ChildProcess): Promise<ChannelEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ kind: 'lost', reason: error.message }));
    child.once('exit', (exitCode, signal) =>
      resolve({ kind: 'exited', exitCode, signal: signal?.slice('SIG'.length) ?? null }),
    );
  });
}
