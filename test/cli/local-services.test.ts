import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { makeTestBundle } from '../support/test-bundle.js';
import { configurationFault } from '../../services/cli/local-services/start-service.js';
import { type RuneProcess, spawnRune } from '../support/spawn-rune.js';

/** Processes whose environment holds this word: everything that the command line under test has started. */
async function processesWith(word: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const environments = await Promise.all(
    ids.map((id) => readFile(`/proc/${id}/environ`, 'utf8').catch(() => '')), // It ended meanwhile.
  );
  return ids.filter((_, at) => environments[at]?.includes(word));
}

describe('what a service says of its configuration', () => {
  it('is read as one error with all its faults', () => {
    const error = configurationFault([
      '{"level":"info"}',
      'rune-lom did not start: CONFIGURATION_INVALID: The configuration has these faults:',
      '  a.yaml:3: nodes.x: is not a node',
      '  LOM_LISTEN: is not an address',
      'What to do: Correct it.',
    ]);
    assert.equal(error?.message, 'The configuration has these faults:');
    assert.deepEqual(
      error.facts.validationErrors?.map(({ field, description }) => [field, description]),
      [
        ['a.yaml:3', 'nodes.x: is not a node'],
        ['LOM_LISTEN', 'is not an address'],
      ],
    );
  });

  it('is nothing where it ended for another reason', () => {
    assert.equal(configurationFault(['rune-lom did not start: INTERNAL: A fault.']), undefined);
  });
});

describe('services started by the command line', () => {
  let directory: string;
  let bundle: string;
  let word: string;
  const processes: RuneProcess[] = [];
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-local-'));
    bundle = await makeTestBundle(directory);
    word = `RUNE_TEST_WORD=${directory}`;
  });
  afterEach(() => {
    for (const { child } of processes.splice(0)) child.kill('SIGKILL');
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const start = (...args: string[]) => {
    const process = spawnRune(args, { env: { RUNE_TEST_WORD: directory, TMPDIR: directory } });
    processes.push(process);
    return process;
  };
  const nothingIsLeft = async () => {
    await eventually(async () => (await processesWith(word)).length === 0, {
      label: 'every process has ended',
    });
    assert.deepEqual(
      (await readdir(directory)).filter((name) => name.startsWith('rune-up-')),
      [],
    );
  };

  it('rune run --standalone runs an action on this machine and leaves nothing behind', async () => {
    const process = start(
      'run',
      'show-context',
      '--node',
      'localhost',
      '--standalone',
      '--plugins',
      bundle,
      '-o',
      'json',
    );
    assert.equal(await process.exited, 0, process.err());
    assert.equal(JSON.parse(process.out()).runs[0].node, 'localhost');
    await nothingIsLeft();
  });

  it('rune up serves until it is interrupted, then leaves nothing behind', async () => {
    const up = start('up', '--listen', '127.0.0.1:0', '--plugins', bundle);
    await up.says('Ctrl-C stops both.');
    const address = /LOM listens on (\S+)/.exec(up.err())?.[1] ?? '';
    const doctor = start('doctor', '--server', address, '--node', 'localhost');
    assert.equal(await doctor.exited, 0, doctor.out());
    up.child.kill('SIGINT');
    assert.equal(await up.exited, 0, up.err());
    await nothingIsLeft();
  });

  it('end also when the command line is killed', async () => {
    const up = start('up', '--listen', '127.0.0.1:0', '--plugins', bundle);
    await up.says('Ctrl-C stops both.');
    up.child.kill('SIGKILL');
    await eventually(async () => (await processesWith(word)).length === 0, {
      label: 'both services have ended',
    });
  });

  it('that refuse what the flags gave them are explained with their own words, once, and end with 2', async () => {
    const inventory = join(directory, 'broken.yaml');
    await writeFile(inventory, 'nodes: [1\n');
    const up = start('up', '--listen', '127.0.0.1:0', '--plugins', bundle, '--inventory', inventory);
    assert.equal(await up.exited, 2);
    assert.match(up.err(), /^rune: CONFIGURATION_INVALID: .*broken\.yaml/);
    assert.equal(up.err().match(/what to do/gi)?.length, 1);
    const run = start(
      'run',
      'noop',
      '--node',
      'x',
      '--standalone',
      '--plugins',
      '/nonexistent',
      '-o',
      'json',
    );
    assert.equal(await run.exited, 2);
    assert.match(
      run.err(),
      /^rune: CONFIGURATION_INVALID: .*\/nonexistent\/bundle\.yaml: the file does not exist/,
    );
    assert.equal(run.out(), '');
    await eventually(async () => (await processesWith(word)).length === 0, {
      label: 'every process has ended',
    });
  });

  it('that end by themselves end rune up with 5', async () => {
    const up = start('up', '--listen', '127.0.0.1:0', '--plugins', bundle);
    await up.says('Ctrl-C stops both.');
    const started = await processesWith(word);
    const commands = await Promise.all(started.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8')));
    const lmm = started[commands.findIndex((command) => command.includes('lmm/main.js'))];
    process.kill(Number(lmm), 'SIGKILL');
    assert.equal(await up.exited, 5);
    assert.match(up.err(), /rune-lmm was killed by SIGKILL\./);
    await eventually(async () => (await processesWith(word)).length === 0, {
      label: 'every process has ended',
    });
  });

  it('refuse a port that somebody else has', async () => {
    const first = start('up', '--listen', '127.0.0.1:0', '--plugins', bundle);
    await first.says('Ctrl-C stops both.');
    const address = /LOM listens on (\S+)/.exec(first.err())?.[1] ?? '';
    const second = start('up', '--listen', address, '--plugins', bundle);
    assert.equal(await second.exited, 2);
    assert.match(second.err(), /^rune: CONFIGURATION_INVALID: .*another process listens there/);
  });
});
