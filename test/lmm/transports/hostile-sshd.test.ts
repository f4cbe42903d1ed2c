import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import {
  DEFAULT_NODE_PROTOCOL,
  type NodeProtocolSettings,
} from '../../../services/lmm/transports/supervise.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf, openLink, sshLink, type Link } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import { commandFor, refusalOf, runPlugin } from '../../support/run-plugin.js';
import { startSshd, type SshdOptions, type TestSshd } from '../../support/sshd.js';

const KINDS = ['ssh', 'openssh'] as const;
const RUNS = 8;
const SECRET = 'correct horse battery staple';

const SERVES_ALL_THE_SAME: readonly (readonly [what: string, options: SshdOptions])[] = [
  ['grants two sessions on a connection and has no SFTP', { maxSessions: 2 }],
  ['drops every connection in the making but two', { maxStartups: '2:100:2' }],
  [
    'runs a program of its own in front of every command',
    {
      extraConfig: [`ForceCommand logger -s "$SSH_CLIENT" 2>/dev/null; exec bash -c "$SSH_ORIGINAL_COMMAND"`],
    },
  ],
];

const RUNS_SOMETHING_ELSE: readonly (readonly [what: string, command: string, says: RegExp])[] = [
  ['prints a notice and ends', 'echo "Backups only." >&2', /Backups only\./],
  ['gives back what it is sent', 'cat', /What the node printed is not shown/],
  ['gives back the start of it', 'head -c 500', /What the node printed is not shown/],
  ['speaks SFTP', 'internal-sftp', /This service allows sftp connections only/],
  ['takes everything and says nothing', 'exec cat >/dev/null', /did not begin within 1000 ms/],
];

describe('an sshd that', () => {
  let sshd: TestSshd;
  const transports: Transport[] = [];
  const open = (link: Link, settings: NodeProtocolSettings = DEFAULT_NODE_PROTOCOL): Transport => {
    const transport = openLink(link, settings);
    transports.push(transport);
    return transport;
  };
  const begin = async (options: SshdOptions): Promise<void> => {
    sshd = await startSshd({ hostKeyTypes: ['ed25519'], rootOnly: true, ...options });
  };
  afterEach(async () => {
    for (const transport of transports.splice(0)) await transport.close();
    await sshd.stop();
  });

  for (const [what, options] of SERVES_ALL_THE_SAME) {
    it(`${what} runs many plugins at once, and confirms the end of one that is cancelled`, async () => {
      await begin(options);
      assert.doesNotMatch(await readFile(`${sshd.directory}/config`, 'utf8'), /Subsystem/);
      for (const kind of KINDS) {
        const link = sshLink(sshd, 'root', kind);
        const transport = open(link);
        // Each of these nodes has connections of its own.
        const nodes = [0, 1, 2, 3].map((n) => ({ ...nodeOf(link), name: `web0${n}` }));
        const start = (index: number, script: string) => {
          const node = nodes[index % nodes.length] ?? assert.fail();
          return runPlugin(
            transport,
            commandFor(node, script, { input: `run ${index}`, connectTimeoutMs: 60_000 }),
          );
        };
        const cancelled = start(0, 'echo on; sleep 86400');
        await eventually(() => cancelled.stdout() === 'on\n', { label: 'the plugin to start' });
        const runs = Array.from({ length: RUNS }, (_, index) => start(index, `cat; exit ${index}`));
        const endings = await Promise.all(runs.map((run) => run.ending));
        runs.forEach((run, index) => assert.equal(run.stdout(), `run ${index}`, kind));
        endings.forEach((ending, exitCode) => {
          assert(ending.kind === 'ended' && ending.confirmed, `${kind}: ${JSON.stringify(ending)}`);
          assert.deepEqual(ending.end, { exitCode });
        });
        cancelled.stop(StopReason.CANCEL);
        const ending = await cancelled.ending;
        assert(ending.kind === 'ended' && ending.confirmed && !ending.maySurvive, JSON.stringify(ending));
        assert.deepEqual(findProcesses(cancelled.runId), []);
      }
      if (options.maxStartups !== undefined) assert.match(sshd.log(), /MaxStartups/);
    });
  }

  for (const [what, command, says] of RUNS_SOMETHING_ELSE) {
    it(`runs another command, which ${what}, runs no plugin, and says so`, async () => {
      await begin({ extraConfig: [`ForceCommand ${command}`] });
      for (const kind of KINDS) {
        const link = sshLink(sshd, 'root', kind);
        const transport = open(link, { ...DEFAULT_NODE_PROTOCOL, beginTimeoutMs: 1_000 });
        const input = JSON.stringify({ password: `${SECRET}, at least three times as long as that` });
        const run = runPlugin(transport, commandFor(nodeOf(link), 'echo it ran', { input }));
        const error = await refusalOf(run);
        assert.equal(error.name, 'NODE_SETUP_FAILED', kind);
        assert.match(`${error.message} ${error.facts.stderrTail ?? ''}`, says);
        assert(!JSON.stringify([error.message, error.facts]).includes(SECRET));
        assert.deepEqual([run.startedCount(), run.stdout()], [0, '']);
      }
    });
  }
});
