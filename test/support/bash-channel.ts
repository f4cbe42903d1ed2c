import { spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import type { Channel } from '../../services/lmm/transports/channel.js';
import { REMOTE_COMMAND } from '../../services/lmm/transports/remote-command.js';
import { superviseRun, type NodeProtocolSettings } from '../../services/lmm/transports/supervise.js';
import type { Transport } from '../../services/lmm/transports/transport.js';

/** A channel to a real bash on this machine, with everything that went over it kept. */
export interface BashChannel extends Channel {
  /** What the mediator sent. */
  readonly sent: () => Buffer;
  /** What the node sent on both outputs. */
  readonly received: () => Buffer;
}

/** Starts the remote command under a login shell with exactly this environment. */
export function openBashChannel(
  environment: Readonly<Record<string, string>>,
  loginShell = '/bin/sh',
): BashChannel {
  const child = spawn(loginShell, ['-c', REMOTE_COMMAND], {
    detached: true,
    cwd: '/',
    env: { ...environment },
  });
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  const stdin = new PassThrough();
  stdin.on('data', (chunk: Buffer) => sent.push(chunk));
  stdin.pipe(child.stdin);
  // The node may end before it has read everything.
  child.stdin.on('error', () => undefined);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  for (const [from, to] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    from.on('data', (chunk: Buffer) => received.push(chunk));
    from.pipe(to);
  }
  return {
    stdin,
    stdout,
    stderr,
    ended: new Promise((resolve) => {
      child.once('exit', (exitCode, signal) => resolve({ kind: 'exited', exitCode, signal }));
    }),
    destroy: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
    },
    sent: () => Buffer.concat(sent),
    received: () => Buffer.concat(received),
  };
}

/** What runPlugin needs of a transport, over one channel. */
export function overChannel(channel: Channel, settings: NodeProtocolSettings): Pick<Transport, 'run'> {
  return {
    run: (command, sink, stop) => superviseRun(channel, { command, sink, stop, connectMs: 0, settings }),
  };
}
