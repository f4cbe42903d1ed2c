import type { ClientChannel } from 'ssh2';
import type { Channel, ChannelEnd } from '../channel.js';

/** A channel of an SSH connection. */
export interface SshChannel extends Channel {
  /** Resolves when the node has closed the channel too: only then its place on the connection is free. */
  readonly closed: Promise<void>;
}

/**
 * Makes a channel of an ssh2 stream. Must be called in the callback that hands the stream out: its events come in the same
 * turn. `ended` resolves once both outputs were read to their end; read both.
 */
export function sshChannel(stream: ClientChannel, lossReason: () => string): SshChannel {
  let exit: ChannelEnd | undefined;
  let end: (end: ChannelEnd) => void = () => undefined;
  const ended = new Promise<ChannelEnd>((resolve) => {
    end = resolve;
  });

  stream.once('exit', (code: number | null, signal?: string) => {
    exit = { kind: 'exited', exitCode: code, signal: signal?.replace(/^SIG/, '') ?? null };
  });
  const stdoutClosed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  const stderrClosed = new Promise<void>((resolve) => stream.stderr.once('close', () => resolve()));
  // A channel without an exit status is a lost link, whatever it printed before.
  void Promise.all([stdoutClosed, stderrClosed]).then(() =>
    end(exit ?? { kind: 'lost', reason: lossReason() }),
  );
  // Writing to a channel that the node has closed is an error of the stream; `ended` tells what happened.
  stream.on('error', () => undefined);

  return {
    stdin: stream,
    stdout: stream,
    stderr: stream.stderr,
    ended,
    closed: stdoutClosed,
    destroy() {
      stream.close();
      // The close of the node is seen only when what it sent before was read.
      stream.resume();
      stream.stderr.resume();
      end(exit ?? { kind: 'lost', reason: 'the mediator gave the channel up' });
    },
  };
}
