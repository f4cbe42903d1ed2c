import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import ssh2, { type Connection, type ServerChannel, type Session } from 'ssh2';
import {
  DEFAULT_NODE_PROTOCOL,
  type NodeProtocolSettings,
} from '../../../services/lmm/transports/supervise.js';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { FLEET_SSHD, fleetAddresses } from '../../support/fleet.js';
import { nodeOf, openLink, sshLink } from '../../support/links.js';
import { commandFor, refusalOf, runPlugin } from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const FLOODING_NODES = 12;

for (const kind of ['ssh', 'openssh'] as const) {
  describe(`a node over ${kind} that`, () => {
    let sshd: TestSshd;
    before(async () => {
      sshd = await startSshd({ ...FLEET_SSHD, rootOnly: true, hostKeyTypes: ['ed25519'] });
    });
    after(() => sshd.stop());

    const ends: (() => Promise<unknown>)[] = [];
    afterEach(async () => {
      for (const end of ends.splice(0).toReversed()) await end();
    });
    const open = (
      protocol: Partial<NodeProtocolSettings> = {},
      settings: Partial<SshSettings> = {},
    ): Transport => {
      const link = sshLink(sshd, 'root', kind);
      const transport = openLink(link, { ...DEFAULT_NODE_PROTOCOL, ...protocol }, settings);
      ends.push(() => transport.close());
      return transport;
    };
    const node = (changes: Partial<NodeTarget> = {}): NodeTarget => ({
      ...nodeOf(sshLink(sshd, 'root', kind)),
      ...changes,
    });

    it('stands still once the plugin has begun is given up in time', async () => {
      const changes = { timeoutMs: 300, killGraceMs: 100 };
      const run = runPlugin(open({ endMarginMs: 500 }), commandFor(node(), 'sleep 86400', changes));
      await eventually(() => run.startedCount() === 1, { label: 'the plugin' });
      // Its sshd goes on and answers.
      const sshds = new Set(sshd.sessionPids());
      const still = sshd.descendants().filter((pid) => !sshds.has(pid));
      for (const pid of still) process.kill(pid, 'SIGSTOP');
      const ending = await run.ending;
      assert(ending.kind === 'lost', JSON.stringify(ending));
      assert.match(ending.reason, /did not say in time/);
      for (const pid of still) process.kill(pid, 'SIGKILL');
    });

    it('starts anew while a plugin runs is told to be away meanwhile, and found again with its old host key', async () => {
      const own = await startSshd({ rootOnly: true, hostKeyTypes: ['ed25519'] });
      ends.push(() => own.stop());
      const link = sshLink(own, 'root', kind);
      const transport = openLink(link, DEFAULT_NODE_PROTOCOL);
      ends.push(() => transport.close());
      const start = (script: string) => runPlugin(transport, commandFor(nodeOf(link), script));
      const run = start('echo ready; exec sleep 86400');
      await eventually(() => run.stdout() === 'ready\n', { label: 'the plugin' });
      // All at once, as the power goes.
      own.signalListener('SIGKILL');
      for (const pid of own.descendants()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended with its parent.
        }
      }
      const ending = await run.ending;
      assert(ending.kind === 'lost' && ending.started, JSON.stringify(ending));
      const away = await refusalOf(start('exit 0'));
      assert.equal(away.name, 'NODE_UNREACHABLE');
      assert.match(away.message, /ECONNREFUSED/);
      const [config, log] = [join(own.directory, 'config'), join(own.directory, 'log')];
      const back = spawn('/usr/sbin/sshd', ['-D', '-f', config, '-E', log], { stdio: 'ignore' });
      ends.push(async () => back.kill('SIGKILL'));
      await eventually(() => own.log().match(/^Server listening/gm)?.length === 2, { label: 'the node' });
      const again = start('echo back');
      assert.equal((await again.ending).kind, 'ended');
      assert.equal(again.stdout(), 'back\n');
    });

    it('prints at full speed, as many others do, fills no memory with what nobody reads', async () => {
      const transport = open();
      // Little on one output, which is read, would make room for more of the other.
      const script =
        'printf -v x %1000000s; for i in {1..64}; do printf %s "$x"; echo $i >&2; echo $i >"$1"; done';
      const never = new Promise<void>(() => undefined);
      const files = Array.from({ length: FLOODING_NODES }, (_, index) =>
        join(sshd.directory, `printed-${index}`),
      );
      const runs = fleetAddresses(FLOODING_NODES, 79).map((address, index) =>
        runPlugin(
          transport,
          commandFor(node({ name: address, address }), script, {
            timeoutMs: 60_000,
            arguments: [files[index] ?? ''],
          }),
          { started: () => undefined, stdout: () => never, stderr: () => undefined },
        ),
      );
      const megabytes = (): number[] =>
        files.map((file) => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0));
      await eventually(() => megabytes().every((count) => count > 0), { label: 'every node to print' });
      let before = '';
      await eventually(() => before === (before = megabytes().join()), {
        label: 'every node to stand still',
        pauseMs: 200,
      });
      // The window of a channel, and what the buffers on the way hold.
      for (const count of megabytes()) assert(count <= 8, before);
      for (const run of runs) run.stop(StopReason.CANCEL);
      for (const run of runs) {
        const ending = await run.ending;
        assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
      }
    });

    it('floods whoever connects with text before the greeting is given up, and nothing ran', async () => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        const flood = (): void => {
          while (socket.write('x'.repeat(60_000))) continue;
          socket.once('drain', flood);
        };
        flood();
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      ends.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
      const { port } = server.address() as AddressInfo;
      const error = await refusalOf(runPlugin(open(), commandFor(node({ port }), 'exit 0')));
      assert.match(error.name, /NODE_HANDSHAKE_FAILED|NODE_UNREACHABLE/, error.message);
    });

    describe('speaks SSH and', () => {
      /** A server of the library, which lets everybody in; `behave` sees what they ask for. */
      const serve = async (
        behave: (session: Session) => void,
        { banner = '', opensNone = false } = {},
      ): Promise<NodeTarget> => {
        const clients = new Set<Connection>();
        const hostKeys = [await readFile(join(sshd.directory, 'host_ed25519'))];
        const server = new ssh2.Server({ hostKeys, banner }, (client) => {
          clients.add(client);
          client.on('error', () => undefined).on('authentication', (login) => login.accept());
          client.on('session', (accept) => opensNone || behave(accept()));
        });
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        ends.push(async () => {
          for (const client of clients) client.end();
          await new Promise<void>((resolve) => server.close(() => resolve()));
        });
        return node({ port: (server.address() as AddressInfo).port });
      };

      it('opens no session is given up at the connect timeout, and nothing ran', async () => {
        const target = await serve(() => undefined, { opensNone: true });
        const run = runPlugin(
          open({}, { channelOpenTimeoutMs: 300 }),
          commandFor(target, 'exit 0', { connectTimeoutMs: 1_500 }),
        );
        assert.equal((await refusalOf(run)).name, 'NODE_CONNECT_TIMEOUT');
      });

      it('never answers the command is given up in time, and nothing ran', async () => {
        const target = await serve((session) => session.on('exec', () => undefined));
        const run = runPlugin(
          open({ beginTimeoutMs: 500 }, { channelOpenTimeoutMs: 300 }),
          commandFor(target, 'exit 0', { connectTimeoutMs: 1_500 }),
        );
        // For the ssh of the system a session is open before that answer.
        const name = kind === 'ssh' ? 'NODE_CONNECT_TIMEOUT' : 'NODE_SETUP_FAILED';
        assert.equal((await refusalOf(run)).name, name);
      });

      /** Runs the commands that it is asked for. */
      const serveCommands = (
        banner: string,
        onChannel: (channel: ServerChannel) => void = () => undefined,
        { overruns = false, leavesOpen = false } = {},
      ) =>
        serve(
          (session) =>
            session.on('exec', (accept, _reject, { command }) => {
              const channel = accept();
              onChannel(channel);
              channel.on('error', () => undefined);
              const child = spawn('/bin/sh', ['-c', command]);
              child.stdin.on('error', () => undefined);
              channel.pipe(child.stdin);
              // By odd steps: where exactly nothing is allowed any more, the other end would drop the rest.
              if (overruns) child.stdout.on('data', (chunk) => channel.write(chunk) && channel.write('x'));
              else child.stdout.pipe(channel, { end: false });
              child.stderr.pipe(channel.stderr, { end: false });
              child.once('close', (code) => {
                if (leavesOpen) return;
                channel.exit(code ?? 255);
                channel.end();
              });
              channel.once('close', () => child.stdin.destroy());
            }),
          { banner },
        );

      it('shows a banner as long as a packet can be is served, and no word of it gets in between', async () => {
        const target = await serveCommands('No trespassing. '.repeat(2_000));
        const run = runPlugin(open(), commandFor(target, 'cat'));
        const ending = await run.ending;
        assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
        assert.deepEqual([run.stdout(), run.stderr()], ['{}', '']);
      });

      it('never closes a channel gives the outcome all the same, and is left', async () => {
        const opened: ServerChannel[] = [];
        const onChannel = (channel: ServerChannel): void => {
          opened.push(channel);
          // Nor does it answer when it is closed from the other end.
          channel.close = channel.end = channel.destroy = () => channel;
        };
        const target = await serveCommands('', onChannel, { leavesOpen: true });
        const transport = open();
        for (const word of ['one', 'two']) {
          const run = runPlugin(transport, commandFor(target, `echo ${word}; exit 5`));
          const ending = await run.ending;
          assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
          assert.deepEqual([ending.end, run.stdout()], [{ exitCode: 5 }, `${word}\n`]);
        }
        assert.equal(opened.length, 2);
      });

      // The ssh of the system drops it.
      if (kind === 'openssh') return;
      it('sends more than it was allowed to is left, and the run is lost', async () => {
        let goOn = (): void => undefined;
        const closed = new Promise<void>((resolve) => (goOn = resolve));
        const onChannel = (channel: ServerChannel): void => {
          channel.once('close', () => goOn());
          // What the library counts down before it stops.
          Object.assign((channel as unknown as { outgoing: object }).outgoing, { window: Infinity });
        };
        const target = await serveCommands('', onChannel, { overruns: true });
        const run = runPlugin(open(), commandFor(target, 'exec cat /dev/zero', { timeoutMs: 60_000 }), {
          started: () => undefined,
          stdout: () => closed,
          stderr: () => undefined,
        });
        const ending = await run.ending;
        assert(ending.kind === 'lost', JSON.stringify(ending));
        assert.match(ending.reason, /sent more than it was allowed to/);
      });
    });
  });
}
