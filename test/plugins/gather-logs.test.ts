import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScriptedNode } from '../support/scripted-node.js';
import { skipUnlessRoot } from '../support/skip.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, makeToolPath } from './shipped-action.js';
import { gatherScene, textOf, type Gathered, type GatheredSource } from './gather-scene.js';

const TOOLS = ['base64', 'cat', 'head', 'readlink', 'stat', 'tail', 'timeout', 'tr', 'wc'];
/** The mediator takes 1,048,576 by default. */
const ANSWER_BYTES_MAX = 750_000;

/** What was taken of a source, cut out of the archive by its offset. */
function taken(gathered: Gathered, at: number): Buffer {
  const { offset_bytes: offset, bytes } = gathered.sources[at] as GatheredSource;
  assert.ok(offset !== null);
  return textOf(gathered).subarray(offset, offset + bytes);
}

describe('gather-logs', () => {
  const scene = gatherScene();
  const { ending, gather } = scene;

  it('takes the last lines of files into one archive and shows the last of them', async () => {
    const first = Array.from({ length: 30 }, (_, at) => `line ${at}\n`).join('');
    await scene.directory.write({ 'logs/a.log': first, 'logs/b.log': 'one\n\ntwo' });
    await utimes(join(scene.logs, 'a.log'), 1_700_000_000, 1_700_000_000);
    const names = ['a.log', 'b.log'].map((name) => join(scene.logs, name));
    const gathered = await gather({ paths: names, lines: 20, last_lines: 3 });
    const [a, b] = gathered.sources;
    const expected = first.slice(first.indexOf('line 10'));
    assert.deepEqual(a, {
      name: names[0],
      kind: 'file',
      state: 'taken',
      size_bytes: first.length,
      modified: '2023-11-14T22:13:20Z',
      lines: 20,
      bytes: expected.length,
      offset_bytes: `==> ${names[0]} <==\n`.length,
      truncated: true,
      last_lines: ['line 27', 'line 28', 'line 29'],
      error: null,
    });
    assert.deepEqual([b?.lines, b?.bytes, b?.truncated], [3, 8, false]);
    assert.deepEqual(b?.last_lines, ['one', '', 'two']);
    const text = `==> ${names[0]} <==\n${expected}\n==> ${names[1]} <==\none\n\ntwo`;
    assert.equal(textOf(gathered).toString(), text);
    assert.deepEqual([gathered.text_bytes, gathered.truncated], [text.length, true]);
    assert.equal(gathered.message, `2 of 2 sources read, ${text.length} bytes`);
    assert.equal(taken(gathered, 0).toString(), expected);
  });

  it('takes the files of a pattern that are regular and allowed, each once', async () => {
    await scene.directory.write({
      'logs/a.log': 'a\n',
      'logs/b ]$(id)*.log': 'b\n',
      'logs/c.txt': 'c\n',
      'logs/d.log/x': '',
    });
    await scene.directory.write({ secret: 'secret' });
    await symlink('../secret', join(scene.logs, 'z.log'));
    const gathered = await gather({ paths: [join(scene.logs, 'a.log'), join(scene.logs, '*.log')] });
    assert.deepEqual(
      gathered.sources.map(({ name, state }) => [name, state]),
      [
        [join(scene.logs, 'a.log'), 'taken'],
        [join(scene.logs, 'b ]$(id)*.log'), 'taken'],
        [join(scene.logs, 'z.log'), 'failed'],
      ],
    );
  });

  it('takes a file that says it is from before 1970', async () => {
    await scene.directory.write({ 'logs/a.log': 'a\n' });
    execFileSync('touch', ['-d', '@-5', join(scene.logs, 'a.log')]);
    const [source] = (await gather({ paths: [join(scene.logs, 'a.log')] })).sources;
    assert.deepEqual([source?.state, source?.modified], ['taken', null]);
  });

  it('takes 32 sources at most and counts the others', async () => {
    await scene.directory.write(
      Object.fromEntries(Array.from({ length: 35 }, (_, at) => [`logs/${at}.log`, `${at}\n`])),
    );
    const gathered = await gather({ paths: [join(scene.logs, '*.log')] });
    assert.deepEqual([gathered.sources.length, gathered.sources_left_out, gathered.truncated], [32, 3, true]);
  });

  it('fails where nothing can be read, with the reason of each source', async () => {
    const { error } = await ending({ paths: [join(scene.logs, 'a'), '/etc/passwd'] });
    assert.equal(error?.code, 3);
    assert.match(error.message, /^None of the sources could be read\. .*\/a: it is not there/);
    assert.equal((error.details['sources'] as GatheredSource[]).length, 2);
  });

  it('leaves out files that have not changed since', async () => {
    await scene.directory.write({ 'logs/new.log': 'new\n', 'logs/old.log': 'old\n' });
    await utimes(join(scene.logs, 'old.log'), 1_700_000_000, 1_700_000_000);
    for (const since of [
      '-1h',
      '2023-11-14T22:13:21Z',
      '2023-11-15T00:13:21+02:00',
      '2023-11-14T20:13:20.5-02:01',
    ]) {
      const { sources } = await gather({ paths: [join(scene.logs, '*.log')], since });
      assert.deepEqual(
        sources.map(({ state, bytes }) => [state, bytes]),
        [
          ['taken', 4],
          ['unchanged', 0],
        ],
        since,
      );
    }
    for (const since of ['2023-11-14T22:13:20Z', '-999999d']) {
      const { sources } = await gather({ paths: [join(scene.logs, '*.log')], since });
      assert.equal(sources[1]?.state, 'taken', since);
    }
  });

  it('takes no more than its limits, from the end of each file', async () => {
    const line = `${'x'.repeat(99)}\n`;
    await scene.directory.write({
      'logs/a': line.repeat(100),
      'logs/b': line.repeat(100),
      'logs/c': line.repeat(100),
    });
    const params = { paths: [join(scene.logs, '*')], source_bytes_max: 2000, bytes_max: 3000 };
    const { sources, truncated, text_bytes: text } = await gather(params);
    assert.deepEqual(
      sources.map(({ bytes }) => bytes),
      [2000, sources[1]?.bytes, 0],
    );
    assert.ok((sources[1]?.bytes ?? 0) > 900 && text <= 3100);
    assert.ok(truncated && sources.every((source) => source.truncated));
  });

  it('gives each source its share where the archive is full, and stays below a megabyte', async () => {
    for (let at = 0; at < 4; at++) await writeFile(join(scene.logs, `${at}`), randomBytes(200_000));
    for (const compress of [true, false]) {
      const run = await ending({ paths: [join(scene.logs, '*')], last_lines: 2, compress });
      assert.ok(JSON.stringify(run.output).length < ANSWER_BYTES_MAX);
      const gathered = run.output as unknown as Gathered;
      assert.ok(gathered.truncated && gathered.sources.every(({ bytes }) => bytes > 30_000));
      assert.equal(textOf(gathered).length, gathered.text_bytes);
    }
  });

  it('keeps bytes that are no text in the archive and makes the last lines safe', async () => {
    const bytes = Buffer.concat([
      Buffer.from('\u001b[2J\u0000zero "q" \\ ü\n'),
      Buffer.from([0xff, 0xfe, 10]),
      Buffer.alloc(3000, 'é'),
    ]);
    await writeFile(join(scene.logs, 'a'), bytes);
    const gathered = await gather({ paths: [join(scene.logs, 'a')] });
    assert.deepEqual(taken(gathered, 0), bytes);
    const [source] = gathered.sources;
    assert.equal(source?.lines, 3);
    assert.deepEqual(source.last_lines, ['\u001b[2J\ufffdzero "q" \\ ü', '\ufffd\ufffd', 'é'.repeat(250)]);
  });

  it('bounds the last lines of all sources together', async () => {
    const line = `${'\u0001'.repeat(499)}\n`;
    for (let at = 0; at < 3; at++) await writeFile(join(scene.logs, `${at}`), line.repeat(50));
    const { sources } = await gather({ paths: [join(scene.logs, '*')], last_lines: 50 });
    assert.ok(JSON.stringify(sources).length < 70_000);
    assert.ok((sources[0]?.last_lines.length ?? 0) > 20);
    assert.deepEqual(sources[2]?.last_lines, []);
  });

  it('says that an empty file is empty', async () => {
    await writeFile(join(scene.logs, 'a'), '');
    const gathered = await gather({ paths: [join(scene.logs, 'a')] });
    assert.deepEqual([gathered.sources[0]?.state, gathered.text_bytes], ['taken', 0]);
    assert.equal('archive' in gathered, false);
  });

  it('does not compress where that is not wanted, or the node has no gzip', async () => {
    await writeFile(join(scene.logs, 'a'), 'text\n');
    const path = await makeToolPath(join(scene.directory.path, 'tools'), TOOLS);
    for (const gathered of [
      await gather({ paths: [join(scene.logs, 'a')], compress: false }),
      await gather({ paths: [join(scene.logs, 'a')] }, { path }),
    ]) {
      assert.deepEqual([gathered.compressed, 'archive' in gathered], [false, false]);
      assert.equal(taken(gathered, 0).toString(), 'text\n');
    }
  });

  itNamesMissingTools(TOOLS, async (path) => (await ending({ paths: [scene.logs] }, { path })).error);

  it('refuses parameters that the schema does not describe', () => {
    assert.ok(acceptsParams('gather-logs', { units: ['php@8.2.service'], since: '-90s' }));
    for (const params of [
      { units: ['-f'] },
      { units: ['a b'] },
      { paths: ['relative'] },
      { since: 'yesterday' },
      { since: '-1h --all' },
      { lines: 0 },
      { bytes_max: 1 },
      { allowed: ['/'] },
    ]) {
      assert.equal(acceptsParams('gather-logs', params), false, JSON.stringify(params));
    }
  });

  it('needs a source', async () => {
    assert.equal((await ending({})).error?.code, 1);
  });

  describe('from the journal', () => {
    const scripted = async (
      state: Record<string, string>,
    ): Promise<Awaited<ReturnType<typeof makeScriptedNode>>> => {
      const node = await makeScriptedNode(['journalctl']);
      await makeToolPath(join(scene.directory.path, 'tools'), [...TOOLS, 'gzip']);
      await node.state(state);
      return node;
    };

    it('asks for the unit, the lines and the time, and no more', async () => {
      const node = await scripted({ journal: 'one\ntwo\nthree\n' });
      try {
        const path = `${node.path}/bin:${scene.directory.path}/tools`;
        const params = { units: ['nginx.service'], lines: 2, since: '2023-11-14T22:13:20Z' };
        const gathered = await gather(params, { path });
        assert.deepEqual(await node.calls(), [
          [
            'journalctl',
            '--no-pager',
            '--quiet',
            '--output=short-iso',
            '--lines=3',
            '--unit=nginx.service',
            '--since=@1700000000',
          ],
        ]);
        const [source] = gathered.sources;
        assert.deepEqual(
          [source?.kind, source?.size_bytes, source?.lines, source?.truncated, source?.last_lines],
          ['journal', null, 2, true, ['two', 'three']],
        );
        assert.equal(textOf(gathered).toString(), '==> nginx.service <==\ntwo\nthree\n');
      } finally {
        await node.remove();
      }
    });

    it('says why it cannot, beside a file that it can read', async () => {
      await writeFile(join(scene.logs, 'good.log'), 'good\n');
      const node = await scripted({});
      try {
        const tools = `${scene.directory.path}/tools`;
        const params = { units: ['nginx'], paths: [join(scene.logs, 'good.log')] };
        const failing = await gather(params, { path: `${node.path}/bin:${tools}` });
        assert.match(String(failing.sources[0]?.error), /^journalctl ended with status 1/);
        const missing = await gather(params, { path: tools });
        assert.equal(missing.sources[0]?.error, 'this node has no journalctl');
        assert.equal(missing.sources[1]?.state, 'taken');
      } finally {
        await node.remove();
      }
    });

    it('tells a user who may not see the journal from a unit that said nothing', async function () {
      skipUnlessRoot(this);
      const tools = await makeToolPath(join(scene.directory.path, 'tools'), [...TOOLS, 'gzip']);
      const journalctl = `#!/bin/sh
case "$*" in *--quiet*) ;; *) echo 'Hint: You are currently not seeing messages from other users and the system.' >&2 ;; esac
`;
      await scene.directory.write({ 'bin/journalctl': journalctl });
      await chmod(join(scene.directory.path, 'bin', 'journalctl'), 0o755);
      await chmod(scene.directory.path, 0o755);
      const path = `${scene.directory.path}/bin:${tools}:/bin`;
      const { error } = await ending({ units: ['nginx'] }, { path, uid: 65_534 });
      assert.match(error?.message ?? '', /nginx: this user may not read the journal/);
      const [source] = (await gather({ units: ['nginx'] }, { path })).sources;
      assert.deepEqual([source?.state, source?.bytes], ['taken', 0]);
    });
  });
});
