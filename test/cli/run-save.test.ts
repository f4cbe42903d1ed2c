import assert from 'node:assert/strict';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../services/shared/errors.js';
import { GetActionResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, Result, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { runeWorld } from '../support/rune-world.js';
import { TAIL_LOG } from '../support/scripted-lom.js';
import { createEvents, play, threeNodes } from './events.js';

describe('rune run --save', () => {
  const { lomOf, run } = runeWorld();

  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-save-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));
  const mode = async (...path: string[]) =>
    ((await lstat(join(directory, ...path))).mode & 0o777).toString(8);

  it('writes result, log and outcome of each node, for nobody else to read', async () => {
    const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
    await run(lom, '--save', join(directory, 'deep', 'er'));
    const at = (...path: string[]) => readFile(join(directory, 'deep', 'er', ...path), 'utf8');
    assert.equal(await at('web01', 'result.json'), '{"lines":["a","b"],"unit":"nginx"}');
    assert.equal(await at('web01', 'stderr.log'), 'reading the journal\n');
    assert.equal(JSON.parse(await at('web02', 'outcome.json')).error.errorData.name, 'NODE_UNREACHABLE');
    await assert.rejects(at('web02', 'result.json'), { code: 'ENOENT' });
    assert.equal(await mode('deep', 'er', 'web01', 'result.json'), '600');
    assert.equal(await mode('deep', 'er', 'web01'), '700');
    assert.equal(await mode('deep'), '700');
  });

  it('replaces what an earlier execution left, and follows no link', async () => {
    const outside = join(directory, 'outside');
    await writeFile(outside, 'untouched');
    await mkdir(join(directory, 'web01'));
    await mkdir(join(directory, 'web02'));
    await symlink(outside, join(directory, 'web01', 'result.json'));
    await symlink(outside, join(directory, 'web01', 'result.json.new'));
    await symlink(outside, join(directory, 'web01', 'stderr.log'));
    await writeFile(join(directory, 'web02', 'result.json'), 'stale');
    const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
    await run(lom, '--save', directory);
    assert.equal(await readFile(outside, 'utf8'), 'untouched');
    assert.match(await readFile(join(directory, 'web01', 'result.json'), 'utf8'), /nginx/);
    await assert.rejects(readFile(join(directory, 'web02', 'result.json')), { code: 'ENOENT' });
  });

  it('refuses what is no directory before anything runs, and does not hang on procfs', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
    for (const [path, message] of [
      [file, `--save ${file}: ${file} is not a directory.`],
      [join(file, 'deeper'), 'is not a directory'],
      ['/proc/nope/deeper', 'no such file'],
    ] as const) {
      const { code, err } = await run(lom, '--save', path);
      assert.equal(code, 2);
      assert.ok(err.includes(message), err);
    }
    assert.equal(lom.runs.length, 0);
  });

  it('tells of a node once', async () => {
    await writeFile(join(directory, 'web01'), '');
    const events = createEvents();
    const lom = await lomOf(() => ({
      run: () =>
        play(
          events.accepted(1),
          events.running('web01'),
          events.log('web01', 'one'),
          events.succeeded('web01'),
          events.final(ExecutionState.SUCCEEDED),
        ),
    }));
    const { err } = await run(lom, '--save', directory);
    assert.equal(err.match(/not saved/g)?.length, 1);
  });

  it('writes no result that the service has not kept, says so, and ends with 1', async () => {
    const events = createEvents();
    const result = Result.fromPartial({ notKeptBytes: 3_000_000 });
    const lom = await lomOf(() => ({
      run: () =>
        play(
          events.accepted(1),
          events.outcome('web01', { state: RunState.SUCCEEDED, result }),
          events.final(ExecutionState.SUCCEEDED),
        ),
    }));
    const { code, err } = await run(lom, '--save', directory);
    assert.equal(code, 1);
    assert.match(err, /not saved for node web01: the service has not kept its result/);
    await assert.rejects(lstat(join(directory, 'web01', 'result.json')), { code: 'ENOENT' });
    const kept = JSON.parse(await readFile(join(directory, 'web01', 'outcome.json'), 'utf8'));
    assert.equal(kept.result.notKeptBytes, 3_000_000);
  });

  it('refuses a directory that is a link and names that are no names, and ends with 1', async () => {
    const outside = join(directory, 'outside');
    await mkdir(outside);
    await symlink(outside, join(directory, 'web01'));
    const events = createEvents();
    const lom = await lomOf(() => ({
      run: () =>
        play(
          events.accepted(2),
          events.succeeded('web01'),
          events.succeeded('../evil'),
          events.final(ExecutionState.SUCCEEDED),
        ),
    }));
    const { code, err } = await run(lom, '--save', directory);
    assert.equal(code, 1);
    assert.match(err, /not saved for node web01: .*\/web01 is not a directory/);
    assert.match(err, /not saved for node \.\.\/evil: .*not safe/);
    await assert.rejects(lstat(join(outside, 'result.json')), { code: 'ENOENT' });
  });
});

describe('bytes in a result', () => {
  const { lomOf, run } = runeWorld();

  const archive = Buffer.from('x'.repeat(12_595));
  const outputSchema = JSON.stringify({
    properties: {
      archive: { type: 'string', contentEncoding: 'base64', contentMediaType: 'application/gzip' },
    },
  });
  let directory: string;
  let asked: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-save-'));
    asked = 0;
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** A LOM where each node answers with this as its archive. */
  const answering = (archives: Readonly<Record<string, string>>, schema = outputSchema) => {
    const events = createEvents();
    return lomOf(() => ({
      getAction: async () => {
        asked += 1;
        if (schema === '') throw new RuneError('ACTION_NOT_FOUND', 'There is no such action.');
        return GetActionResponse.fromPartial({ action: { ...TAIL_LOG, outputSchema: schema } });
      },
      run: () =>
        play(
          events.accepted(Object.keys(archives).length),
          ...Object.entries(archives).flatMap(([node, text]) => [
            events.running(node),
            events.succeeded(node, { unit: 'nginx', archive: text }),
          ]),
          events.final(ExecutionState.SUCCEEDED, { SUCCEEDED: 1 }),
        ),
    }));
  };

  it('are shown as their size', async () => {
    const lom = await answering({ web01: archive.toString('base64') });
    const { code, out } = await run(lom);
    assert.equal(code, 0);
    assert.equal(out, 'unit:    nginx\narchive: 12.3 KiB, base64; --save DIR keeps it\n');
  });

  it('are files of their own by --save, for nobody else to read; the schema is asked for once', async () => {
    await mkdir(join(directory, 'web01'));
    const outside = join(directory, 'outside');
    await writeFile(outside, 'untouched');
    await symlink(outside, join(directory, 'web01', 'result.archive.gz'));
    await symlink(outside, join(directory, 'web01', 'result.archive.gz.new'));
    const lom = await answering({ web01: archive.toString('base64'), web02: 'AAAA' });
    const { code, out, err } = await run(lom, '--save', directory);
    assert.equal(code, 0, err);
    assert.match(out, /12\.3 KiB, base64\n/);
    assert.deepEqual(await readFile(join(directory, 'web01', 'result.archive.gz')), archive);
    assert.deepEqual(await readFile(join(directory, 'web02', 'result.archive.gz')), Buffer.alloc(3));
    assert.equal(await readFile(outside, 'utf8'), 'untouched');
    assert.equal((await lstat(join(directory, 'web01', 'result.archive.gz'))).mode & 0o777, 0o600);
    assert.equal(asked, 1);
  });

  it('of an earlier execution go when the next begins, and other files stay', async () => {
    await mkdir(join(directory, 'web01'));
    for (const name of ['result.old.gz', 'notes.txt', 'result.sh']) {
      await writeFile(join(directory, 'web01', name), '');
    }
    await run(await answering({ web01: 'AAAA' }), '--save', directory);
    assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), [
      'notes.txt',
      'outcome.json',
      'result.archive.gz',
      'result.json',
      'result.sh',
    ]);
  });

  it('that are no base64 stay in result.json, are told, and end with 1', async () => {
    const hostile = '../'.repeat(1000);
    const { code, out, err } = await run(await answering({ web01: hostile }), '--save', directory);
    assert.equal(code, 1);
    assert.match(
      err,
      /^not saved for node web01: archive, 2\.9 KiB, is not valid base64; result\.json has it as it came$/m,
    );
    assert.match(out, /archive: 2\.9 KiB, not valid base64; --output json shows it\n/);
    assert.equal(
      JSON.parse(await readFile(join(directory, 'web01', 'result.json'), 'utf8')).archive,
      hostile,
    );
    assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), ['outcome.json', 'result.json']);
  });

  for (const [what, schema, reason] of [
    ['cannot be asked for', '', 'There is no such action'],
    ['is not JSON', '{', 'it is not JSON'],
  ] as const) {
    it(`stay text where the output schema ${what}, and the execution goes on`, async () => {
      const text = archive.toString('base64');
      const { code, out, err } = await run(await answering({ web01: text }, schema), '--save', directory);
      assert.equal(code, 0);
      assert.ok(out.includes(text));
      assert.equal(err.match(/the output schema of tail-log could not be read/g)?.length, 1);
      assert.ok(err.includes(reason), err);
      assert.deepEqual((await readdir(join(directory, 'web01'))).toSorted(), ['outcome.json', 'result.json']);
    });
  }

  it('are as they came for programs, and nobody asks for the schema', async () => {
    const text = archive.toString('base64');
    const lom = await answering({ web01: text });
    const { out } = await run(lom, '-o', 'json');
    assert.equal(JSON.parse(out).runs[0].result.output.archive, text);
    assert.equal(asked, 0);
  });

  it('are not looked for in a result without long text', async () => {
    const { out } = await run(await answering({ web01: 'AAAA' }));
    assert.match(out, /archive: AAAA/);
    assert.equal(asked, 0);
  });
});
