import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'ssh2';
import { GO_LINE, REMOTE_COMMAND } from '../../services/lmm/transports/remote-command.js';
import { sshChannel, type SshChannel } from '../../services/lmm/transports/ssh/ssh-channel.js';
import { DEFAULT_NODE_PROTOCOL, superviseRun } from '../../services/lmm/transports/supervise.js';
import { NodeTarget } from '../../services/shared/gen/rune/v1/lmm.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { commandFor } from '../../test/support/run-plugin.js';
import { NODE, noopInput } from './noop.js';

/** The parts of one `noop` by the node protocol alone, one after the other, in milliseconds. */
export interface ProtocolPhases {
  /** Asking for a channel until sshd has accepted the command. */
  readonly openMs: number;
  /** Sending the upload until the node's `begin`. */
  readonly beginMs: number;
  /** Letting it go until the plugin's process says `started`. */
  readonly startMs: number;
  /** Until the last byte of the plugin's answer. */
  readonly answerMs: number;
  /** Until `end` on both streams, which is when a mediator has its outcome. */
  readonly endMs: number;
  /** Until sshd has closed the channel; nobody waits for it. */
  readonly closeMs: number;
}

/** Makes a function that runs `noop` once over an open connection, without any service, and says what took how long. */
export async function prepareProtocol(client: Client): Promise<() => Promise<ProtocolPhases>> {
  const plugin = (path: string): Promise<Buffer> => readFile(join(packageRoot, 'plugins', path));
  const [script, library] = [await plugin('noop/plugin.sh'), await plugin('lib/rune_bpcs.sh')];
  return async () => {
    const command = commandFor(NodeTarget.fromPartial({ name: NODE }), script, {
      library,
      input: noopInput(),
      killGraceMs: 5_000,
    });
    const marks = { asked: performance.now(), opened: 0, begun: 0, started: 0, answered: 0, ended: 0 };
    const channel = await openChannel(client, () => (marks.begun = performance.now()));
    marks.opened = performance.now();
    const ending = await superviseRun(channel, {
      command,
      sink: {
        started: () => void (marks.started = performance.now()),
        stdout: () => void (marks.answered = performance.now()),
        stderr: () => undefined,
      },
      stop: new AbortController().signal,
      connectMs: 0,
      settings: DEFAULT_NODE_PROTOCOL,
    });
    marks.ended = performance.now();
    if (ending.kind !== 'ended' || !('exitCode' in ending.end) || ending.end.exitCode !== 0)
      throw new Error(`noop ended so: ${JSON.stringify(ending)}`);
    await channel.closed;
    return {
      openMs: marks.opened - marks.asked,
      beginMs: marks.begun - marks.opened,
      startMs: marks.started - marks.begun,
      answerMs: marks.answered - marks.started,
      endMs: marks.ended - marks.answered,
      closeMs: performance.now() - marks.ended,
    };
  };
}

/** A channel; `onGo` is called when the protocol lets the plugin begin, which it does when it has read `begin`. */
function openChannel(client: Client, onGo: () => void): Promise<SshChannel> {
  return new Promise((resolve, reject) => {
    client.exec(REMOTE_COMMAND, (error, stream) => {
      if (error) return reject(error);
      const write = stream.write.bind(stream);
      const watched = (chunk: unknown): boolean => {
        if (chunk === GO_LINE) onGo();
        return write(chunk);
      };
      resolve(sshChannel(Object.assign(stream, { write: watched }), () => 'the link was lost'));
    });
  });
}
