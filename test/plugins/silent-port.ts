import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { eventually } from '../support/eventually.js';

/** A loopback port that is open but answers no new connection: its queue is full and nobody accepts. */
export interface SilentPort {
  readonly port: number;
  stop(): Promise<void>;
}

// The server's thread is blocked for good after it has listened, so the kernel alone accepts until the queue is full.
const SERVER = `
  const server = require('node:net').createServer();
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, server.address().port + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

const QUEUE_FULL_MS = 300;

/** Opens such a port; it is silent once a connection stayed unanswered for a while. */
export async function openSilentPort(): Promise<SilentPort> {
  const server = spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => server.once('exit', resolve));
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
  const sockets: Socket[] = [];
  const isAnswered = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => undefined);
      socket.setTimeout(QUEUE_FULL_MS, () => resolve(false));
      sockets.push(socket);
    });
  await eventually(async () => !(await isAnswered()), { label: 'the queue of the port to fill' });
  return {
    port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.kill('SIGKILL');
      await exited;
    },
  };
}
