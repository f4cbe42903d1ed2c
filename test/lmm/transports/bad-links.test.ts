import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { NodeEnding, Transport } from '../../../services/lmm/transports/transport.js';
import { RuneError } from '../../../services/shared/errors.js';
import { startBadLinks, type BadLink, type BadLinks } from '../../support/bad-link.js';
import { eventually } from '../../support/eventually.js';
import { FLEET_SSHD, fleetAddresses } from '../../support/fleet.js';
import { nodeOf, openLink, sshLink } from '../../support/links.js';
import { findProcesses, seeProcesses } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

/** The ssh of the system counts keepalives in whole seconds. */
const KEEPALIVE = {
  ssh: { keepaliveIntervalMs: 500, keepaliveCountMax: 3 },
  openssh: { keepaliveIntervalMs: 1_000, keepaliveCountMax: 1 },
} as const;
const NODE_PROTOCOL = { heartbeatMs: 300, leaseMs: 2_000, beginTimeoutMs: 1_000, endMarginMs: 30_000 };

type Deed = (link: BadLink) => void;

const SILENT = /did not answer for 1(\.5)? s/;
const BROKEN = /closed the connection|reset|broke/i;
const EITHER = new RegExp(`${SILENT.source}|${BROKEN.source}`, 'i');

/** What a network does to a connection, and what a mediator says of it. */
const DEEDS: readonly { readonly what: string; readonly act: Deed; readonly reason: RegExp }[] = [
  { what: 'swallows everything', act: (link) => link.stall(Infinity), reason: SILENT },
  { what: 'is cut', act: (link) => link.cut(), reason: BROKEN },
  { what: 'is reset', act: (link) => link.destroy(), reason: BROKEN },
  { what: 'is half open, reset for the node alone', act: (link) => link.reset('callee'), reason: SILENT },
  {
    what: 'is half open, reset for the mediator alone',
    act: (link) => link.reset('caller'),
    reason: BROKEN,
  },
  { what: 'is ended for the mediator alone', act: (link) => link.halfClose('caller'), reason: BROKEN },
  { what: 'is ended for the node alone', act: (link) => link.halfClose('callee'), reason: EITHER },
];

/** Errors that say that nothing has run. */
const REFUSALS = ['NODE_CONNECT_TIMEOUT', 'NODE_UNREACHABLE', 'NODE_HANDSHAKE_FAILED', 'NODE_SETUP_FAILED'];

for (const kind of ['ssh', 'openssh'] as const) {
  describe(`a run over ${kind} whose link`, () => {
    let sshd: TestSshd;
    let links: BadLinks;
    let transport: Transport;
    let count = 0;
    const addresses = fleetAddresses(250, kind === 'ssh' ? 77 : 78);
    const plans = new Map<string, Deed>();
    before(async () => {
      sshd = await startSshd({ ...FLEET_SSHD, rootOnly: true, hostKeyTypes: ['ed25519'] });
      links = await startBadLinks({
        route: () => ({ host: sshd.host, port: sshd.port }),
        onLink: (link) => plans.get(link.address)?.(link),
      });
      transport = openLink(sshLink(sshd, 'root', kind), NODE_PROTOCOL, {
        ...KEEPALIVE[kind],
        channelOpenTimeoutMs: 1_000,
        handshakesMax: 64,
      });
    });
    after(async () => {
      await transport.close();
      await links.close();
      await sshd.stop();
    });

    /** A node of its own, whose links `act` sees before their first byte. */
    const makeNode = (act?: Deed): string => {
      const address = addresses[count++] ?? assert.fail('too few addresses');
      if (act !== undefined) plans.set(address, act);
      return address;
    };
    const linkTo = (address: string): BadLink =>
      links.links().find((link) => link.address === address) ?? assert.fail(`no link to ${address}`);
    const start = (address: string, script: string, changes: PluginChanges = {}): PluginRun => {
      const node = {
        ...nodeOf(sshLink(sshd, 'root', kind)),
        name: address,
        address,
        port: links.port,
      };
      return runPlugin(transport, commandFor(node, script, changes));
    };

    it('breaks at any moment of its life ends, and is never told to have run or not to have run against the truth', async () => {
      const address = makeNode();
      assert.equal((await start(address, 'exit 0').ending).kind, 'ended');
      // Greeting, key exchange, login, session, command, upload and go, each with its answer.
      const moments = (['caller', 'callee'] as const).flatMap((end) => {
        const stages = linkTo(address).stages(end);
        assert(stages.length > 7, stages.join());
        return [0, ...stages].map((bytes) => ({ end, bytes }));
      });
      // The ssh of the system takes a process for each connection: a part of them has to do.
      const cases = moments
        .flatMap((moment) => DEEDS.slice(0, 3).map((deed) => ({ ...moment, ...deed })))
        .filter((_, index) => kind === 'ssh' || index % 5 === 0);
      const trace = join(sshd.directory, 'trace');
      await mkdir(trace);
      const outcomes = await Promise.all(
        cases.map(async ({ what, act, end, bytes }) => {
          const file = join(trace, `${what.replaceAll(' ', '-')}-${end}-${bytes}`);
          const node = makeNode((link) => link.after(bytes, end, () => act(link)));
          const { ending } = start(node, 'echo ran >>"$1"; exit 5', {
            arguments: [file],
            connectTimeoutMs: kind === 'ssh' ? 3_000 : 5_000,
          });
          return { file, ending: await ending.catch((error: unknown) => error) };
        }),
      );
      // What a node does after its link is lost, it does within its lease.
      for (const link of links.links()) link.destroy();
      await eventually(() => sshd.descendants().length === 0, { label: 'every session to end' });
      const kinds = outcomes.map(({ file, ending }) => {
        const ran = existsSync(file);
        if (ran) assert.equal(readFileSync(file, 'utf8'), 'ran\n', 'it ran twice');
        if (ending instanceof RuneError) {
          assert(REFUSALS.includes(ending.name), ending.message);
          assert.equal(ran, false, `${file}: ${ending.message}`);
          return 'refused';
        }
        const { kind: how, ...rest } = ending as NodeEnding;
        if (how === 'ended') {
          assert.deepEqual('end' in rest && rest.end, { exitCode: 5 });
          assert(ran, file);
        }
        return how;
      });
      // Breaks before the word go are among them, and after it where all moments are tried.
      assert(kinds.includes('refused'), kinds.join());
      assert(kind === 'openssh' || kinds.includes('lost'), kinds.join());
    });

    it('breaks in any way while the plugin runs is lost, and the node ends all of it in time', async () => {
      const cases = DEEDS.map((deed, index) => {
        const mark = `86400.${process.pid}${kind.length}${index}`;
        const address = makeNode();
        const script = `trap '' TERM; setsid sleep ${mark} & (trap '' TERM; sleep ${mark}) & echo ready; sleep ${mark}; sleep ${mark}`;
        return { ...deed, mark, address, run: start(address, script) };
      });
      await eventually(() => cases.every(({ run }) => run.stdout() === 'ready\n'), { label: 'the plugins' });
      const leftOf = (): number[] => {
        const seen = seeProcesses();
        return cases.map(({ mark }) => findProcesses(mark, seen).length);
      };
      await eventually(() => leftOf().every((left) => left >= 3), { label: 'their processes' });
      for (const { act, address } of cases) act(linkTo(address));
      const stoppedByMs = await Promise.all(
        cases.map(async ({ what, run, reason }) => {
          const end = await run.ending;
          assert(end.kind === 'lost' && end.started, `${what}: ${JSON.stringify(end)}`);
          assert.match(end.reason, reason, what);
          return end.stoppedOnNodeByMs;
        }),
      );
      await eventually(() => leftOf().every((left) => left === 0), { label: 'the plugins to end' });
      assert(Date.now() < Math.min(...stoppedByMs));
      for (const link of links.links()) link.destroy();
    });

    it('goes silent because the node starts anew is lost, and the next run finds the node again', async () => {
      const address = makeNode();
      const run = start(address, 'echo ready; sleep 86400');
      await eventually(() => run.stdout() === 'ready\n', { label: 'the plugin' });
      const link = linkTo(address);
      link.stall(Infinity);
      for (const pid of sshd.descendants()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended with its parent.
        }
      }
      assert.equal((await run.ending).kind, 'lost');
      link.reset('caller');
      const again = start(address, 'echo back');
      assert.equal((await again.ending).kind, 'ended');
      assert.equal(again.stdout(), 'back\n');
    });
  });
}
