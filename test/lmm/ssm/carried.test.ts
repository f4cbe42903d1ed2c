import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SsmSettings } from '../../../services/lmm/transports/ssm/ssm-settings.js';
import type { NodeEnding } from '../../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf } from '../../support/links.js';
import { commandFor, refusalOf, runPlugin, type PluginRun } from '../../support/run-plugin.js';
import { makeAwsProgram, TOKEN_JSON } from '../../support/ssm/aws-program.js';
import { startSsmEndpoint, type SsmEndpoint } from '../../support/ssm/ssm-endpoint.js';
import type { TempDirectory } from '../../support/temp-directory.js';
import { ssmWorld } from './ssm-world.js';

const WEB = 'i-0123456789abcdef0';
const DB = 'i-0123456789abcdef1';
const BUCKET = 'rune-output';
const DOCUMENT = 'RUNE-Run';
const quiet = new AbortController().signal;

describe('what the transport ssm carries', () => {
  let programs: TempDirectory;
  before(async () => {
    programs = await makeAwsProgram();
  });
  const world = ssmWorld(() => ({
    instances: { [WEB]: {}, [DB]: {} },
    programs: programs.path,
    documents: {
      [DOCUMENT]: JSON.parse(readFileSync(join(packageRoot, 'deploy/ssm/RUNE-Run.json'), 'utf8')),
    },
    buckets: [BUCKET],
  }));
  const { open, executionsOf, isRunning } = world;
  let aws: SsmEndpoint;
  before(() => ({ aws } = world));
  after(() => programs.remove());

  const target = (instanceId = WEB): NodeTarget =>
    nodeOf({ kind: 'ssm', url: aws.url, region: aws.region, instanceIds: [instanceId] });
  const start = (script: string, changes: Partial<SsmSettings> = {}): PluginRun =>
    runPlugin(open(changes), commandFor(target(), script));

  describe('with its own document', () => {
    const OWN = { ssmDocument: DOCUMENT, ssmDocumentForm: 'typed' } as const;

    it('runs plugins', async () => {
      const run = start('echo "$0"; echo $((6 * 7)); echo log >&2; exit 3', OWN);
      const ending = await run.ending;
      assert(ending.kind === 'ended', JSON.stringify(ending));
      assert.deepEqual(
        [ending.end, run.stdout().split('\n')[1], run.stderr()],
        [{ exitCode: 3 }, '42', 'log\n'],
      );
      const [sent] = aws.record.calls('SendCommand').slice(-1);
      assert.equal(sent?.input['DocumentName'], DOCUMENT);
      assert.equal(executionsOf(run), 1);
    });

    it('runs plugins on several nodes with one command', async () => {
      const transport = open(OWN);
      const dispatchGroup = newId();
      const sends = aws.record.calls('SendCommand').length;
      const runs = [WEB, DB].map((instanceId) =>
        runPlugin(
          transport,
          commandFor(target(instanceId), 'cat', { dispatchGroup, input: `"${instanceId}"` }),
        ),
      );
      await Promise.all(runs.map((run) => run.ending));
      assert.deepEqual(
        runs.map((run) => run.stdout()),
        [`"${WEB}"`, `"${DB}"`],
      );
      assert.equal(aws.record.calls('SendCommand').length, sends + 1);
    });

    it('finds a command again whose answer was lost, and confirms a cancel by what the node says', async () => {
      aws.faults.inject({ call: 'SendCommand', kind: 'answer-lost' });
      const run = start('echo hello; while :; do sleep 0.1; done', OWN);
      await isRunning(run);
      await eventually(() => aws.instance(WEB).processes().length > 4, { label: 'the plugin to run' });
      run.stop(StopReason.CANCEL);
      const ending = await run.ending;
      assert(ending.kind === 'ended', JSON.stringify(ending));
      assert.deepEqual([ending.stopReason, ending.confirmed], [StopReason.CANCEL, true]);
      assert.equal(executionsOf(run), 1);
    });

    it('is refused before anything runs where the document is that of another release', async () => {
      const refusal = await refusalOf(start('echo never', { ...OWN, ssmDocument: 'AWS-RunShellScript' }));
      assert.equal(refusal.name, 'SSM_DOCUMENT_UNUSABLE');
      const other = await refusalOf(start('echo never', { ssmDocument: DOCUMENT }));
      assert.equal(other.name, 'SSM_DOCUMENT_UNUSABLE');
    });
  });

  describe('with references', () => {
    /** Starts a plugin whose input has references, each to a name. */
    const startWith = (
      names: readonly string[],
      script: string,
      changes: Partial<SsmSettings> = {},
    ): PluginRun => {
      const values = names.map((_, index) => `"mark-${index}"`);
      const input = `{"params":{"open":"x",${values.map((value, index) => `"p${index}":${value}`).join()}},"more":1}`;
      const references = names.map((name, index) => {
        const at = input.indexOf(values[index] as string);
        return { parameter: `p${index}`, name, start: at, end: at + (values[index] as string).length };
      });
      return runPlugin(
        open({ ssmParameters: ['/rune/'], ...changes }),
        commandFor(target(), script, { input, references }),
      );
    };

    it('gives the plugin what its node finds, and shows it to nobody: not on a disk, in an argument or in an environment', async () => {
      const run = startWith(
        ['/rune/token', '/rune/token'],
        `shopt -s extglob
        IFS= read -r -d '' json
        printf %s "\${json%%+( )}" | sha256sum
        secret=\${json#*p0?:?} secret=\${secret:0:12}
        seen() { grep -aqF -f <(printf %s "$secret") && echo "$1"; }
        LEAK=$secret cat /proc/self/environ | seen 'one that shows it is found'
        cat /proc/[0-9]*/{cmdline,environ} 2>/dev/null | seen 'in an argument or environment'
        exit 0`,
      );
      assert.equal((await run.ending).kind, 'ended');
      const input = `{"params":{"open":"x","p0":${TOKEN_JSON},"p1":${TOKEN_JSON}},"more":1}`;
      const digest = createHash('sha256').update(input).digest('hex');
      assert.equal(run.stdout(), `${digest}  -\none that shows it is found\n`, run.stderr());
      const files = readdirSync(aws.directory, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
      assert.ok(files.some((text) => text.includes(run.runId)));
      assert.ok(!files.some((text) => text.includes('quoted')));
      assert.match(
        readFileSync(join(programs.path, 'calls'), 'utf8'),
        /^ssm get-parameter --name \/rune\/token --with-decryption .* --region us-east-1$/m,
      );
    });

    for (const [name, words] of [
      [
        '/rune/denied',
        /\(AccessDeniedException\) when calling the GetParameter operation: no, \/rune\/denied$/,
      ],
      ['/rune/long', /its value is too long$/],
    ] as const) {
      it(`runs nothing where ${name} cannot be had, and says why`, async () => {
        const run = startWith(['/rune/token', name], 'echo ran');
        const refusal = await refusalOf(run);
        assert.equal(refusal.name, 'SSM_PARAMETER_UNAVAILABLE');
        assert.match(refusal.message, new RegExp(`it could not look up ${name} for the parameter p1: `));
        assert.match(refusal.message, words);
        assert.equal(run.stdout(), '');
      });
    }

    it('runs nothing where the node has no AWS command line', async () => {
      const programsOfThisMachine = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
      const hasAws = programsOfThisMachine.split(':').some((folder) => existsSync(join(folder, 'aws')));
      const bare = await startSsmEndpoint({ instances: { [WEB]: {} } });
      try {
        const refusal = await refusalOf(startWith(['/rune/token'], 'echo ran', { ssmEndpoint: bare.url }));
        assert.equal(refusal.name, 'SSM_PARAMETER_UNAVAILABLE');
        if (!hasAws) assert.match(refusal.message, /failed to run command .*aws.*No such file/);
      } finally {
        await bare.stop();
      }
    });

    it('runs nothing where it is stopped before the value is there', async () => {
      const run = startWith(['/rune/slow'], 'echo ran');
      await eventually(() => readFileSync(join(programs.path, 'calls'), 'utf8').includes('/rune/slow'), {
        label: 'the question',
      });
      run.stop(StopReason.CANCEL);
      assert.equal((await refusalOf(run)).message, `Nothing ran on ${target().name}: it was stopped before.`);
    });

    it('sends nothing for a name that its own configuration does not allow', async () => {
      const sends = aws.record.calls('SendCommand').length;
      for (const name of ['/prod/token', '/rune', 'rune/token'])
        assert.equal((await refusalOf(startWith([name], 'echo ran'))).name, 'SSM_PARAMETER_NOT_ALLOWED');
      assert.equal(aws.record.calls('SendCommand').length, sends);
    });
  });

  describe('with a bucket', () => {
    /** Prints more than an invocation holds, and nothing that compresses well. */
    const LONG = 'head -c 90000 /dev/urandom; printf END; head -c 60000 /dev/urandom >&2; printf LAST >&2';
    const runLong = async (
      changes: Partial<SsmSettings> = {},
    ): Promise<{ ending: NodeEnding; out: Buffer; err: Buffer; dropped: number; words: string }> => {
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      const words: string[] = [];
      let dropped = 0;
      const ending = await open({
        ssmOutputBuckets: ['us-west-2=elsewhere', `${BUCKET}/runs`],
        ssmS3Endpoint: aws.url,
        ...changes,
      }).run(
        commandFor(target(), LONG),
        {
          started: () => undefined,
          stdout: (chunk) => void out.push(chunk),
          stderr: (chunk) => void err.push(chunk),
          stderrDropped: (bytes) => void (dropped += bytes),
          waiting: (said) => void words.push(said),
        },
        quiet,
      );
      return { ending, out: Buffer.concat(out), err: Buffer.concat(err), dropped, words: words.join(' ') };
    };

    it('gives the whole of outputs that an invocation cannot hold', async () => {
      const { ending, out, err, dropped } = await runLong();
      assert(ending.kind === 'ended' && ending.resultCut === undefined, JSON.stringify(ending));
      assert.deepEqual([out.length, out.subarray(-3).toString()], [90_003, 'END']);
      assert.deepEqual([err.length, err.subarray(-4).toString(), dropped], [60_004, 'LAST', 0]);
    });

    it('gives what an invocation holds, and says why, where the bucket may not be read', async () => {
      aws.faults.inject({ call: 'GetObject', kind: 'denied', times: 1000 });
      const { ending, out, err, dropped, words } = await runLong({ ssmOutputWaitMs: 400 });
      assert(ending.kind === 'ended');
      assert.equal(ending.resultCut?.fromBytes !== undefined && ending.resultCut.fromBytes > 90_000, true);
      assert.match(
        ending.resultCut?.why ?? '',
        /the bucket rune-output does not give the rest: AccessDenied/,
      );
      assert.match(words, /The log is cut: the bucket rune-output/);
      assert.ok(out.length > 4_000 && out.length < 90_000);
      assert.ok(dropped > 0 && err.subarray(-4).toString() === 'LAST');
    });

    it('leaves an output that is longer than it may be as it is without one', async () => {
      const before = aws.record.calls('GetObject').length;
      const { ending } = await runLong({ ssmOutputBytesMax: 50_000 });
      assert(ending.kind === 'ended' && ending.resultCut?.why === undefined);
      assert.ok((ending.resultCut?.fromBytes ?? 0) > 90_000);
      assert.equal(aws.record.calls('GetObject').length, before);
    });
  });
});
