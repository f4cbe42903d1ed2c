import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { startBadLinks, type BadLinks } from '../../support/bad-link.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf, openLink, sshLink } from '../../support/links.js';
import { commandFor, runPlugin, type PluginChanges } from '../../support/run-plugin.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

const MIB = 1024 * 1024;
/** One way. */
const LATENCY_MS = 150;
const SLOW_BLOCKS = 256;
const BLOCK_BYTES = 65_536;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('what nodes and the mediator send', () => {
  let sshd: TestSshd;
  let links: BadLinks;
  before(async () => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'], rootOnly: true });
    links = await startBadLinks({ route: () => ({ host: sshd.host, port: sshd.port }) });
  });
  after(async () => {
    await links.close();
    await sshd.stop();
  });

  for (const kind of ['ssh', 'openssh'] as const) {
    describe(`over ${kind}`, () => {
      let transport: Transport;
      let node: NodeTarget;
      before(() => {
        const link = sshLink(sshd, 'root', kind);
        node = { ...nodeOf(link), port: links.port };
        transport = openLink(link, DEFAULT_NODE_PROTOCOL);
      });
      after(() => transport.close());

      const say = async (script: string | Buffer, changes: PluginChanges = {}): Promise<string> => {
        const run = runPlugin(transport, commandFor(node, script, { timeoutMs: 60_000, ...changes }));
        const ending = await run.ending;
        assert(ending.kind === 'ended' && ending.confirmed, JSON.stringify(ending));
        return run.stdout();
      };

      it('waits for the one reader that stands still, and for no other on the same connection', async () => {
        const loginsBefore = sshd.loginCount();
        let bytes = 0;
        let goOn = (): void => undefined;
        const ready = new Promise<void>((resolve) => (goOn = resolve));
        const script = `printf -v x %${BLOCK_BYTES}s; for ((i = 0; i < ${SLOW_BLOCKS}; i++)); do printf %s "$x"; done`;
        const slow = runPlugin(transport, commandFor(node, script, { timeoutMs: 60_000 }), {
          started: () => undefined,
          stdout: (chunk) => {
            bytes += chunk.length;
            return ready;
          },
          stderr: () => undefined,
        });
        await eventually(() => bytes > 0, { label: 'the first output' });
        const input = Buffer.alloc(MIB, 'what goes up\n');
        const [word, output, sum] = await Promise.all([
          say('echo quick'),
          say('head -c 8388608 /dev/zero'),
          say('sha256sum', { input }),
        ]);
        assert.equal(word, 'quick\n');
        assert.equal(output.length, 8 * MIB);
        assert.equal(sum, `${sha256(input)}  -\n`);
        const heldBytes = bytes;
        assert(heldBytes < SLOW_BLOCKS * BLOCK_BYTES, `${heldBytes}`);
        assert.equal(sshd.loginCount(), loginsBefore + 1);
        goOn();
        assert.equal((await slow.ending).kind, 'ended');
        assert.equal(bytes, SLOW_BLOCKS * BLOCK_BYTES);
      });

      it('fills a link on which every byte takes long, with the largest upload and with output', async () => {
        await say('exit 0');
        const open = links.links();
        assert.equal(open.length, 1);
        open[0]?.delay(LATENCY_MS);
        const file = Buffer.alloc(1.4 * MIB, 'a file beside the plugin\n');
        const input = Buffer.alloc(MIB, 'parameters\n');
        const head = '#!/bin/bash\nsha256sum <"${0%/*}/file"; sha256sum; head -c 8388608 /dev/zero; exit\n';
        const script = Buffer.alloc(MIB, '# a comment that is of no use to anybody\n');
        script.write(head);
        const changes = { delivery: 'directory', files: [{ path: 'file', bytes: file }], input } as const;
        const said = await say(script, changes);
        const sums = `${sha256(file)}  -\n${sha256(input)}  -\n`;
        assert.equal(said.slice(0, sums.length), sums);
        assert.equal(said.length, sums.length + 8 * MIB);
        for (const end of ['callee', 'caller'] as const) {
          const underWay = open[0]?.underWayBytesMax(end) ?? 0;
          // Who waits for an answer to each packet has 32 KiB under way.
          assert(underWay >= MIB / 2, `${underWay} bytes to the ${end}`);
        }
        open[0]?.delay(0);
      });
    });
  }
});
