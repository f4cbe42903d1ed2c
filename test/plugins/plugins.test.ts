import assert from 'node:assert/strict';
import { chmod, cp, mkdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { cpus, hostname, machine, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../services/shared/process/package-root.js';
import type { BashChanges, BashEnding } from '../support/bash.js';
import { runBash, runWithLibrary } from '../support/bash.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { bpcsAnswer, bpcsInput } from './bpcs-document.js';
import { skipUnlessRoot } from '../support/skip.js';
import { helpersOf, scriptOf } from './shipped-action.js';
import { manifestOf, validatorOf } from './shipped-manifest.js';

const plugins = join(packageRoot, 'plugins');
const bundle = parse(readFileSync(join(plugins, 'bundle.yaml'), 'utf8')) as { actions: string[] };

/** Runs an action in `stream` delivery and resolves with its output_data once that fits the output schema. */
async function runAction(
  action: string,
  input: string,
  changes: BashChanges = {},
): Promise<Record<string, unknown>> {
  const ending = await runWithLibrary(scriptOf(action), { ...changes, input }, helpersOf(action));
  return outputOf(action, ending, 'success');
}

function outputOf(action: string, ending: BashEnding, result: string): Record<string, unknown> {
  const answer = bpcsAnswer(ending);
  assert.equal(ending.exitCode, 0, ending.stderr);
  assert.equal(ending.stderr, '');
  assert.equal(answer.error, null);
  assert.equal(answer.payload?.result, result);
  const output = answer.payload.output_data;
  assert.deepEqual(validatorOf(action, 'output').validate(output), []);
  return output;
}

/** Not run on the node as it is: they have tests of their own, with scripted commands. */
const RUN_SCRIPTED: readonly string[] = [
  'service-status',
  'restart-service',
  'restart-docker',
  'restart-nomad',
  'gather-logs',
  'disk-cleanup',
];

for (const action of bundle.actions) {
  describe(`the action ${action}`, () => {
    const manifest = manifestOf(action);

    it('has the name of its directory and schemas that compile', () => {
      assert.equal(manifest.action, action);
      validatorOf(action, 'output');
      const input = validatorOf(action, 'input');
      for (const example of manifest.examples) assert.deepEqual(input.validate({ ...example.params }), []);
      assert.notDeepEqual(input.validate({ no_such_parameter: 1 }), []);
    });

    if (RUN_SCRIPTED.includes(action)) return;
    const params = manifest.examples[0]?.params ?? {};

    for (const example of manifest.examples) {
      it(`does as its example says: ${example.description}`, async () => {
        const output = await runAction(action, bpcsInput(example.params));
        if (example.output !== undefined) assert.deepEqual(output, example.output);
      });

      it(`answers a dry run of it: ${example.description}`, async () => {
        assert.equal(manifest.supports_dry_run, true);
        const input = bpcsInput(example.params, { dry_run: true });
        outputOf(action, await runWithLibrary(scriptOf(action), { input }, helpersOf(action)), 'dry_run');
      });
    }

    it('runs in the C locale', () => runAction(action, bpcsInput(params), { environment: { LC_ALL: 'C' } }));

    it('runs as any user', function () {
      skipUnlessRoot(this);
      return runAction(action, bpcsInput(params), { uid: 65_534 });
    });

    for (const folder of ['', 'lib']) {
      it(`runs from a directory with the library ${folder === '' ? 'beside it' : 'beside it and in lib/'}`, async () => {
        const directory = await makeTempDirectory();
        try {
          await cp(join(plugins, action, 'plugin.sh'), join(directory.path, 'plugin.sh'));
          await mkdir(join(directory.path, folder), { recursive: true });
          for (const place of new Set(['', folder])) {
            await cp(join(plugins, 'lib', 'rune_bpcs.sh'), join(directory.path, place, 'rune_bpcs.sh'));
          }
          for (const file of manifest.files ?? []) {
            await cp(join(plugins, file), join(directory.path, file), { recursive: true });
          }
          const ending = await runBash([join(directory.path, 'plugin.sh')], { input: bpcsInput(params) });
          outputOf(action, ending, 'success');
        } finally {
          await directory.remove();
        }
      });
    }
  });
}

describe('a plugin for the jq-based library', () => {
  const script = readFileSync(join(packageRoot, 'test', 'plugins', 'jq-based-plugin.sh'));

  async function run(params: object): Promise<BashEnding> {
    const directory = await makeTempDirectory();
    try {
      const library = readFileSync(join(plugins, 'lib', 'rune_bpcs.sh'));
      await directory.write({ 'plugin.sh': script, 'rune_bpcs.sh': library, 'lib/rune_bpcs.sh': library });
      return await runBash([join(directory.path, 'plugin.sh')], { input: bpcsInput(params) });
    } finally {
      await directory.remove();
    }
  }

  const id = '0190b6a5-7c1e-7000-8000-000000000001';

  it('answers through rune_ok', async () => {
    const output = bpcsAnswer(await run({ a: 'é' })).payload?.output_data;
    assert.deepEqual(output, { message: 'done', kind: 'short', params: { a: 'é' }, id });
  });

  it('answers with a document that it made itself', async () => {
    const output = bpcsAnswer(await run({ kind: 'whole' })).payload?.output_data;
    assert.deepEqual(output, { kind: 'whole', params: { kind: 'whole' }, id });
  });

  it('fails through rune_fail', async () => {
    const ending = await run({ fail: true });
    assert.equal(ending.exitCode, 3);
    assert.deepEqual(bpcsAnswer(ending).error, {
      code: 3,
      message: 'asked to fail',
      details: { kind: 'short' },
    });
  });
});

describe('noop', () => {
  for (const message of ['', 'é "quoted" \\ \n\t\u0001 $(id)', 'x'.repeat(65_536)]) {
    it(`echoes ${JSON.stringify(message.slice(0, 30))}`, async () => {
      assert.deepEqual(await runAction('noop', bpcsInput({ message })), { message });
    });
  }
});

describe('host-facts', () => {
  let directory: TempDirectory;
  const DF = '#!/bin/sh\ncat <<"EOF"\nFilesystem     1024-blocks      Used Available Capacity Mounted on\n';

  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  /** Runs the action where these programs come before those of the machine. */
  async function factsWith(programs: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
    await directory.write(programs);
    for (const name of Object.keys(programs)) await chmod(join(directory.path, name), 0o755);
    const environment = { PATH: `${directory.path}:${process.env['PATH'] ?? ''}` };
    return runAction('host-facts', bpcsInput(), { environment });
  }

  it('agrees with what Node sees of this machine', async () => {
    const facts = await runAction('host-facts', bpcsInput());
    assert.equal(facts['hostname'], hostname());
    assert.equal(facts['kernel'], release());
    assert.equal(facts['architecture'], machine());
    assert.equal(facts['cpu_count'], cpus().length);
    assert.equal((facts['memory'] as { total_bytes: number }).total_bytes, totalmem());
  });

  it('reads disks with blanks in their names and shares as df rounds them, and leaves out those without size', async () => {
    const facts = await factsWith({
      df: `${DF}/dev/sda1  1000 250 500 34% /\n//nas/my share 2000 0 2000 0% /mnt/a b\nproc 0 0 0 - /proc\nnone 0 0 0 0% /x\nEOF\n`,
    });
    assert.deepEqual(facts['disks'], [
      {
        mount: '/',
        device: '/dev/sda1',
        size_bytes: 1_024_000,
        used_bytes: 256_000,
        available_bytes: 512_000,
        used_percent: 33.3,
      },
      {
        mount: '/mnt/a b',
        device: '//nas/my share',
        size_bytes: 2_048_000,
        used_bytes: 0,
        available_bytes: 2_048_000,
        used_percent: 0,
      },
    ]);
  });

  it('keeps the disks that df listed before it failed', async () => {
    const facts = await factsWith({ df: `${DF}/dev/sda1  1000 250 500 34% /\nEOF\nexit 1\n` });
    assert.equal((facts['disks'] as object[]).length, 1);
  });

  it('says null and why where df fails', async () => {
    const facts = await factsWith({ df: '#!/bin/sh\nexit 124\n' });
    assert.equal(facts['disks'], null);
    assert.ok((facts['missing'] as string[]).includes('disks: df ended with status 124'));
  });

  it('lists failed units', async () => {
    const systemctl =
      '#!/bin/sh\necho "nginx.service loaded failed failed A web server"\necho "a@b.mount loaded failed failed x"\n';
    const facts = await factsWith({ systemctl });
    assert.deepEqual(facts['failed_units'], ['nginx.service', 'a@b.mount']);
    assert.deepEqual((await factsWith({ systemctl: '#!/bin/sh\n' }))['failed_units'], []);
  });

  it('says null and why where systemctl fails', async () => {
    const facts = await factsWith({ systemctl: '#!/bin/sh\nexit 1\n' });
    assert.equal(facts['failed_units'], null);
    assert.deepEqual(facts['missing'], ['failed_units: systemctl ended with status 1']);
  });
});
