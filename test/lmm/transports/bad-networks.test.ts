import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DEFAULT_NODE_PROTOCOL,
  type NodeProtocolSettings,
} from '../../../services/lmm/transports/supervise.js';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { startBadNetwork, type BadNetwork } from '../../support/bad-network.js';
import { eventually } from '../../support/eventually.js';
import { FLEET_SSHD } from '../../support/fleet.js';
import { nodeOf, openLink, sshLink } from '../../support/links.js';
import { findProcesses, seeProcesses } from '../../support/processes.js';
import {
  commandFor,
  refusalOf,
  runPlugin,
  type PluginChanges,
  type PluginRun,
} from '../../support/run-plugin.js';
import { skip } from '../../support/skip.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const MIB = 1024 * 1024;
const FAR = { delayMs: 50 };
const LOSSY_NODES = 2;
/** How soon a node is missed. The ssh of the system counts in whole seconds. */
const ALERT = {
  ssh: { keepaliveIntervalMs: 500, keepaliveCountMax: 3 },
  openssh: { keepaliveIntervalMs: 1_000, keepaliveCountMax: 1 },
} as const;
const SHORT_LEASE = { ...DEFAULT_NODE_PROTOCOL, heartbeatMs: 300, leaseMs: 2_000, endMarginMs: 30_000 };
const SILENT = /did not answer for 1(\.5)? s/;
const PATIENT = { timeoutMs: 60_000, connectTimeoutMs: 60_000 };

/** What a kernel, or who keeps others from it, says to namespaces and devices that it does not allow. */
const REFUSED = /not permitted|Permission denied|\/dev\/net\/tun/;

type Kind = 'ssh' | 'openssh';
/** Over both at the same time, which mostly wait. */
const overEach = (act: (kind: Kind) => Promise<unknown>): Promise<unknown> =>
  Promise.all([act('ssh'), act('openssh')]);

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('over ssh and openssh, a network', () => {
  let network: BadNetwork | undefined;
  let sshd: TestSshd;
  const transports: Transport[] = [];
  before(async function () {
    try {
      network = await startBadNetwork();
    } catch (error) {
      if (!REFUSED.test(String(error))) throw error;
      skip(this, `this machine allows no network of its own: ${String(error)}`);
    }
    sshd = await startSshd({
      ...FLEET_SSHD,
      rootOnly: true,
      hostKeyTypes: ['ed25519'],
      network: network.namespace,
    });
  });
  after(async () => {
    if (network === undefined) return;
    await Promise.all(transports.map((each) => each.close()));
    await sshd.stop();
    await network.stop();
  });

  const there = (): BadNetwork => network ?? assert.fail();
  const open = (
    kind: Kind,
    protocol: NodeProtocolSettings = DEFAULT_NODE_PROTOCOL,
    settings: Partial<SshSettings> = {},
  ): Transport => {
    const transport = openLink(sshLink(sshd, 'root', kind), protocol, settings);
    transports.push(transport);
    return transport;
  };
  const start = (
    transport: Transport,
    address: string,
    script: string | Buffer,
    changes: PluginChanges = {},
  ): PluginRun => {
    const node = { ...nodeOf(sshLink(sshd, 'root')), name: address, address };
    return runPlugin(transport, commandFor(node, script, changes));
  };

  /** All begin at the same time, for they mostly wait. A second try begins anew. */
  const itMeanwhile = (title: string, act: () => Promise<void>): void => {
    let begun: Promise<void> | undefined;
    before(() => {
      begun = act();
      begun.catch(() => undefined);
    });
    it(title, () => {
      const underWay = begun ?? act();
      begun = undefined;
      return underWay;
    });
  };

  itMeanwhile('that is far away and loses every tenth packet costs time and nothing else', async () => {
    const input = Buffer.alloc(32_768, 'parameters\n');
    await overEach(async (kind) => {
      const transport = open(kind);
      const nodes = Array.from({ length: LOSSY_NODES }, () => there().newAddress());
      await Promise.all(
        nodes.map(async (address) => {
          await there().setRule(address, { ...FAR, loss: 0.1 });
          const trace = join(sshd.directory, address);
          const script = 'echo ran >>"$1"; sha256sum; head -c 32768 /dev/zero; exit 5';
          const run = start(transport, address, script, { ...PATIENT, input, arguments: [trace] });
          const ending = await run.ending;
          assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
          assert.deepEqual(ending.end, { exitCode: 5 });
          assert.equal(run.stdout(), `${sha256(input)}  -\n${'\0'.repeat(32_768)}`);
          assert.equal(await readFile(trace, 'utf8'), 'ran\n');
          const { lost } = await there().counts(address);
          assert(lost > 0);
        }),
      );
    });
  });

  itMeanwhile('that is far away is filled by the largest upload and by output', async () => {
    const file = Buffer.alloc(1.4 * MIB, 'a file beside the plugin\n');
    const input = Buffer.alloc(MIB, 'parameters\n');
    const script = '#!/bin/bash\nsha256sum <"${0%/*}/file"; sha256sum; head -c 4194304 /dev/zero\n';
    await overEach(async (kind) => {
      const address = there().newAddress();
      await there().setRule(address, FAR);
      const files = [{ path: 'file', bytes: file }];
      const run = start(open(kind), address, script, { ...PATIENT, delivery: 'directory', files, input });
      assert.equal((await run.ending).kind, 'ended');
      const sums = `${sha256(file)}  -\n${sha256(input)}  -\n`;
      assert.equal(run.stdout().slice(0, sums.length), sums);
      assert.equal(run.stdout().length, sums.length + 4 * MIB);
      const { upBytesMax, downBytesMax } = await there().counts(address);
      // Who waits for an answer to each packet of SSH has 32 KiB under way.
      assert(upBytesMax >= MIB / 4, `${upBytesMax} bytes to the node`);
      assert(downBytesMax >= MIB / 4, `${downBytesMax} bytes from the node`);
    });
  });

  itMeanwhile(
    'that falls silent loses the run, whichever way nothing passes, and the node ends the plugin in time',
    async () => {
      const ways = [{ upBytesMax: 0 }, { downBytesMax: 0 }, { upBytesMax: 0, downBytesMax: 0 }];
      const kinds = ['ssh', 'openssh'] as const;
      const cases = kinds.flatMap((kind) => {
        const transport = open(kind, SHORT_LEASE, ALERT[kind]);
        return ways.map((way, index) => ({
          way,
          transport,
          address: there().newAddress(),
          mark: `86401.${process.pid}${kind.length}${index}`,
        }));
      });
      const byMs = await Promise.all(
        cases.map(async ({ way, transport, address, mark }) => {
          await there().setRule(address, FAR);
          const script = `trap '' TERM; setsid sleep ${mark} & echo ready; sleep ${mark}; sleep ${mark}`;
          const run = start(transport, address, script);
          await eventually(() => run.stdout() === 'ready\n', { label: 'the plugin' });
          await there().setRule(address, { ...FAR, ...way });
          const ending = await run.ending;
          assert(ending.kind === 'lost' && ending.started, JSON.stringify(ending));
          assert.match(ending.reason, SILENT);
          return ending.stoppedOnNodeByMs;
        }),
      );
      const areLeft = (): boolean => {
        const seen = seeProcesses();
        return cases.some(({ mark }) => findProcesses(mark, seen).length > 0);
      };
      await eventually(() => !areLeft(), { label: 'the plugins to end', pauseMs: 100 });
      assert(Date.now() < Math.min(...byMs));
      await Promise.all(
        cases.map(async ({ transport, address }) => {
          await there().setRule(address, FAR);
          const again = start(transport, address, 'echo back');
          assert.equal((await again.ending).kind, 'ended');
          assert.equal(again.stdout(), 'back\n');
        }),
      );
    },
  );

  itMeanwhile('that is silent for a moment disturbs no run', async () => {
    await overEach(async (kind) => {
      const address = there().newAddress();
      await there().setRule(address, FAR);
      const transport = open(kind, { ...DEFAULT_NODE_PROTOCOL, heartbeatMs: 100 });
      const release = join(sshd.directory, `release-${kind}`);
      const script = 'echo ready; until [ -e "$1" ]; do sleep 0.1; echo line; done; echo done';
      const run = start(transport, address, script, { arguments: [release] });
      await eventually(() => run.stdout().startsWith('ready\n'), { label: 'the plugin' });
      await there().setRule(address, { ...FAR, upBytesMax: 0, downBytesMax: 0 });
      await eventually(async () => (await there().counts(address)).lost >= 5, { label: 'lost packets' });
      const before = run.stdout();
      await there().setRule(address, FAR);
      await eventually(() => run.stdout() !== before, { label: 'what was printed meanwhile' });
      await writeFile(release, '');
      const ending = await run.ending;
      assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
      assert.match(run.stdout(), /^ready\n(line\n)+done\n$/);
    });
  });

  itMeanwhile('that swallows large packets starts nothing, or loses the run that prints much', async () => {
    await overEach(async (kind) => {
      const transport = open(kind, SHORT_LEASE, ALERT[kind]);
      const stalled = there().newAddress();
      await there().setRule(stalled, { upBytesMax: 500 });
      const refusal = refusalOf(start(transport, stalled, 'exit 0', { connectTimeoutMs: 2_000 }));
      const address = there().newAddress();
      const release = join(sshd.directory, `print-${kind}`);
      const script =
        'echo ready; until [ -e "$1" ]; do sleep 0.1; done; head -c 99999 /dev/zero; sleep 86400';
      const run = start(transport, address, script, { arguments: [release] });
      await eventually(() => run.stdout() === 'ready\n', { label: 'the plugin' });
      await there().setRule(address, { downBytesMax: 1_000 });
      await writeFile(release, '');
      const ending = await run.ending;
      assert(ending.kind === 'lost' && ending.started, JSON.stringify(ending));
      assert.match(ending.reason, SILENT);
      const { name, message } = await refusal;
      assert.equal(name, 'NODE_CONNECT_TIMEOUT', message);
      assert.match(message, /began an SSH handshake and did not finish it within 2 s/);
    });
  });

  itMeanwhile(
    'that has no way to a node, or swallows every call, runs nothing and says which of them it is',
    async () => {
      await overEach(async (kind) => {
        const transport = open(kind);
        const { unroutedAddress } = there();
        const unrouted = await refusalOf(start(transport, unroutedAddress, 'exit 0'));
        assert.equal(unrouted.name, 'NODE_UNREACHABLE', unrouted.message);
        assert.match(unrouted.message, /EHOSTUNREACH/);
        const address = there().newAddress();
        await there().setRule(address, { upBytesMax: 0 });
        const swallowed = await refusalOf(start(transport, address, 'exit 0', { connectTimeoutMs: 500 }));
        assert.equal(swallowed.name, 'NODE_CONNECT_TIMEOUT', swallowed.message);
        assert.match(swallowed.message, /did not accept a connection within 0\.5 s/);
      });
    },
  );
});
