import type { Readable } from 'node:stream';
import { RuneError } from '../../../shared/errors.js';
import type { ChannelEnd } from '../channel.js';
import type { ExecResult } from '../ssh/connection.js';
import type { SshChannel } from '../ssh/ssh-channel.js';
import { spawnSession, type SshSpawn } from './spawn-ssh.js';

/** How a session is asked for. */
export interface SessionOptions {
  readonly ssh: SshSpawn;
  /** Resolves soon, with a clause: why the connection of this session may be over. */
  readonly lossReason: () => Promise<string>;
}

/** Exit code of ssh for a failure of its own, for a remote process killed by a signal, and for one that ended with it. */
const FAILED = 255;
/** Before it has a session ssh prints less: whoever prints more is the node, in a session that is open. */
const PRINTED_LENGTH_MAX = 16_384;
/** May stand behind words of the node without a newline; ssh loses it where the node has filled the pipe before. */
const OPENED = /debug1: mux_client_request_session: master session id: \d+\r*\n/;
/** What ssh says of itself meanwhile. */
const OF_SSH = /debug1: [^\n]*\n/g;
/** By sshd, which has no session left, or by the master. */
const REFUSED = /session request failed: .*refused by peer|Master refused session request/;

/**
 * Runs an ssh that asks a master for a session, and resolves when it has one or has ended without. Until then nothing can have
 * been sent to the node. Never rejects.
 */
export async function openSession({ ssh, lossReason }: SessionOptions): Promise<ExecResult> {
  let child: Awaited<ReturnType<typeof spawnSession>>;
  try {
    child = await spawnSession(ssh);
  } catch (error) {
    return { kind: 'failed', error: RuneError.from(error) };
  }
  const { stdin, stdout, stderr } = child;
  // What a broken pipe means is said by the end of the process.
  stdin.on('error', () => undefined);
  const exited = new Promise<ChannelEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      if (signal !== null) resolve({ kind: 'lost', reason: `its ssh was killed by ${signal}` });
      else if (exitCode !== FAILED) resolve({ kind: 'exited', exitCode, signal: null });
      else void lossReason().then((reason) => resolve({ kind: 'lost', reason }));
    });
  });
  const { found, printed } = await readUntilOpen(stderr);
  if (!found) {
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    await exited;
    return { kind: REFUSED.test(printed) ? 'refused' : 'dead' };
  }

  let giveUp: (end: ChannelEnd) => void = () => undefined;
  const ended = new Promise<ChannelEnd>((resolve) => {
    giveUp = resolve;
    void exited.then(resolve);
  });
  const channel: SshChannel = {
    stdin,
    stdout,
    stderr,
    ended,
    closed: exited.then(() => undefined),
    destroy() {
      giveUp({ kind: 'lost', reason: 'the mediator gave the channel up' });
      // The master closes the session when the one that asked for it is gone.
      child.kill('SIGKILL');
      for (const stream of [stdin, stdout, stderr]) stream.destroy();
    },
  };
  return { kind: 'open', channel };
}

/** Reads until a session is open, and leaves what is the node's for the next reader; the stream's end is an answer too. */
function readUntilOpen(stream: Readable): Promise<{ found: boolean; printed: string }> {
  return new Promise((resolve) => {
    let printed = '';
    const settle = (found: boolean): void => {
      stream.off('readable', onReadable);
      stream.off('end', onEnd);
      stream.off('close', onEnd);
      resolve({ found, printed });
    };
    const onEnd = (): void => settle(false);
    const onReadable = (): void => {
      for (let chunk = readFrom(stream); chunk !== null; chunk = readFrom(stream)) {
        printed += chunk.toString('latin1');
        const match = OPENED.exec(printed);
        if (match === null && printed.length <= PRINTED_LENGTH_MAX) continue;
        const before = match === null ? printed : printed.slice(0, match.index);
        const after = match === null ? '' : printed.slice(match.index + match[0].length);
        const rest = before.replace(OF_SSH, '') + after;
        settle(true);
        if (rest !== '') stream.unshift(Buffer.from(rest, 'latin1'));
        return;
      }
    };
    stream.on('readable', onReadable);
    stream.once('end', onEnd);
    stream.once('close', onEnd);
    stream.on('error', onEnd);
  });
}

const readFrom = (stream: Readable): Buffer | null => stream.read() as Buffer | null;
