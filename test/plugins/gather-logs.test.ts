import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeScriptedNode } from '../support/scripted-node.js';
import { skipUnlessRoot } from '../support/skip.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, configurationOf, makeToolPath, runShippedAction } from './shipped-action.js';

const TOOLS = ['base64', 'cat', 'head', 'readlink', 'stat', 'tail', 'timeout', 'tr', 'wc'];
/** The mediator takes 1,048,576 by default. */
const ANSWER_BYTES_MAX = 750_000;

interface Source {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly size_bytes: number | null;
  readonly modified: string | null;
  readonly lines: number;
  readonly bytes: number;
  readonly offset_bytes: number | null;
  readonly truncated: boolean;
  readonly last_lines: readonly string[];
  readonly error: string | null;
}

interface Gathered {
  readonly message: string;
  readonly sources: readonly Source[];
  readonly sources_left_out: number;
  readonly text_bytes: number;
  readonly truncated: boolean;
  readonly compressed: boolean;
  readonly archive?: string;
  readonly archive_plain?: string;
}

const textOf = ({ archive, archive_plain: plain }: Gathered): Buffer =>
  archive === undefined ? Buffer.from(plain ?? '', 'base64') : gunzipSync(Buffer.from(archive, 'base64'));

/** What was taken of a source, cut out of the archive by its offset. */
function taken(gathered: Gathered, at: number): Buffer {
  const { offset_bytes: offset, bytes } = gathered.sources[at] as Source;
  assert.ok(offset !== null);
  return textOf(gathered).subarray(offset, offset + bytes);
}

describe('gather-logs', () => {
  let directory: TempDirectory;
  let logs: string;

  beforeEach(async () => {
    directory = await makeTempDirectory();
    logs = join(directory.path, 'logs');
    await mkdir(logs);
  });
  afterEach(() => directory.remove());

  interface Setting {
    readonly allowed?: readonly string[];
    readonly path?: string;
    readonly uid?: number;
  }
  const ending = (params: object, { allowed = [logs], path, uid }: Setting = {}) =>
    runShippedAction('gather-logs', {
      params,
      configuration: { paths: allowed },
      ...(path === undefined ? {} : { environment: { PATH: path } }),
      ...(uid === undefined ? {} : { uid }),
    });
  async function gather(params: object, setting: Setting = {}): Promise<Gathered> {
    const { error, output, stderr } = await ending(params, setting);
    assert.equal(error, null, JSON.stringify(error));
    assert.equal(stderr, '');
    return output as unknown as Gathered;
  }
  /** Why a file is refused beside one that is not. */
  async function refusal(path: string, setting: Setting = {}): Promise<string | null | undefined> {
    await writeFile(join(logs, 'good.log'), 'good\n');
    const gathered = await gather({ paths: [path, join(logs, 'good.log')] }, setting);
    assert.deepEqual(
      gathered.sources.map(({ state }) => state),
      ['failed', 'taken'],
    );
    assert.equal(textOf(gathered).toString(), `==> ${join(logs, 'good.log')} <==\ngood\n`);
    return gathered.sources[0]?.error;
  }

  it('takes the last lines of files into one archive and shows the last of them', async () => {
    const first = Array.from({ length: 30 }, (_, at) => `line ${at}\n`).join('');
    await directory.write({ 'logs/a.log': first, 'logs/b.log': 'one\n\ntwo' });
    await utimes(join(logs, 'a.log'), 1_700_000_000, 1_700_000_000);
    const names = ['a.log', 'b.log'].map((name) => join(logs, name));
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
    await directory.write({
      'logs/a.log': 'a\n',
      'logs/b ]$(id)*.log': 'b\n',
      'logs/c.txt': 'c\n',
      'logs/d.log/x': '',
    });
    await directory.write({ secret: 'secret' });
    await symlink('../secret', join(logs, 'z.log'));
    const gathered = await gather({ paths: [join(logs, 'a.log'), join(logs, '*.log')] });
    assert.deepEqual(
      gathered.sources.map(({ name, state }) => [name, state]),
      [
        [join(logs, 'a.log'), 'taken'],
        [join(logs, 'b ]$(id)*.log'), 'taken'],
        [join(logs, 'z.log'), 'failed'],
      ],
    );
  });

  it('takes a file that says it is from before 1970', async () => {
    await directory.write({ 'logs/a.log': 'a\n' });
    execFileSync('touch', ['-d', '@-5', join(logs, 'a.log')]);
    const [source] = (await gather({ paths: [join(logs, 'a.log')] })).sources;
    assert.deepEqual([source?.state, source?.modified], ['taken', null]);
  });

  it('takes 32 sources at most and counts the others', async () => {
    await directory.write(
      Object.fromEntries(Array.from({ length: 35 }, (_, at) => [`logs/${at}.log`, `${at}\n`])),
    );
    const gathered = await gather({ paths: [join(logs, '*.log')] });
    assert.deepEqual([gathered.sources.length, gathered.sources_left_out, gathered.truncated], [32, 3, true]);
  });

  describe('the allow-list', () => {
    beforeEach(() =>
      directory.write({ 'srv/one/log/x.log': 'x\n', 'srv/one/data/x': 'x\n', 'srv/one/old.1': 'x\n' }),
    );

    for (const [pattern, ...letIn] of [
      ['srv/*/log', 'log/x.log'],
      ['srv/*', 'data/x', 'log/x.log', 'old.1'],
      ['srv/*.log'],
      ['srv/**/*.log', 'log/x.log'],
      ['srv/one/*.[0-9]', 'old.1'],
      ['srv/one/*.[2-9]'],
      ['srv/one/old?1', 'old.1'],
      ['srv/one/lo'],
    ] as const) {
      it(`lets in ${letIn.length === 0 ? 'nothing else' : letIn.join(', ')} by ${pattern}`, async () => {
        await directory.write({ good: '' });
        const one = join(directory.path, 'srv', 'one');
        const paths = ['../../good', 'data/x', 'log/x.log', 'old.1'].map((name) => join(one, name));
        const allowed = [pattern, 'good'].map((entry) => join(directory.path, entry));
        const { sources } = await gather({ paths }, { allowed });
        assert.deepEqual(
          sources.slice(1).flatMap(({ name, state }) => (state === 'taken' ? [name] : [])),
          letIn.map((name) => join(one, name)),
        );
      });
    }

    it('is /var/log where the operator says nothing', () => {
      assert.deepEqual(configurationOf('gather-logs'), { paths: ['/var/log'] });
    });

    for (const bad of [
      '/srv/../etc',
      '/srv/./log',
      'srv',
      '/srv/',
      '/srv//log',
      '/srv/[',
      '/a\\b',
      '/a\nb',
    ]) {
      it(`is refused with ${JSON.stringify(bad)} in it`, async () => {
        const { error } = await runShippedAction('gather-logs', {
          params: { units: ['a'] },
          configuration: { paths: ['/var/log', bad] },
          unchecked: true,
        });
        assert.deepEqual([error?.code, error?.details], [4, { field: 'paths', path: bad }]);
      });
    }

    it('must be there', async () => {
      for (const configuration of [{}, { paths: [] }]) {
        const { error } = await runShippedAction('gather-logs', { configuration, unchecked: true });
        assert.equal(error?.message, 'The configuration of this action has no paths');
      }
    });
  });

  describe('refuses', () => {
    for (const bad of ['/var/log/../../etc/shadow', '/var/log/..', '/var/./log', '/var//log', '/a\nb', 'a']) {
      it(`the path ${JSON.stringify(bad)}`, async () => {
        const { error } = await runShippedAction('gather-logs', {
          params: { paths: [bad] },
          configuration: { paths: [logs] },
          unchecked: true,
        });
        assert.deepEqual([error?.code, error?.details['path']], [1, bad]);
      });
    }

    it('a pattern in the directory of a path', async () => {
      const { error } = await ending({ paths: [`${directory.path}/*/a.log`] });
      assert.match(error?.message ?? '', /Only the last part/);
    });

    it('a file outside of the allow-list', async () => {
      assert.match(String(await refusal('/etc/passwd')), /outside of the allow-list/);
    });

    it('names of a directory outside of the allow-list, also through a link to it', async () => {
      await directory.write({ 'private/secret.log': 'secret' });
      await symlink('../private', join(logs, 'link'));
      for (const place of ['private', 'logs/link']) {
        const error = await refusal(join(directory.path, place, '*.log'));
        assert.equal(error, 'no file in the allow-list matches');
      }
    });

    it('a link that leads out, and one to nothing', async () => {
      await symlink('/etc/passwd', join(logs, 'out'));
      await symlink('nothing', join(logs, 'dangling'));
      assert.match(String(await refusal(join(logs, 'out'))), /leads out of the allow-list/);
      assert.match(String(await refusal(join(logs, 'dangling'))), /link to nothing/);
    });

    it('a file below a link that leads out', async () => {
      await directory.write({ 'private/a.log': 'secret' });
      await symlink('../private', join(logs, 'link'));
      assert.match(String(await refusal(join(logs, 'link', 'a.log'))), /leads out of the allow-list/);
    });

    it('a file that becomes a link while it is looked at', async () => {
      await directory.write({ 'logs/a.log': 'a\n', secret: 'secret' });
      // It comes last before the file is looked at and opened.
      const timeout = `#!/bin/sh\nln -sf ${directory.path}/secret ${logs}/a.log\nexec /usr/bin/timeout "$@"\n`;
      await directory.write({ 'bin/timeout': timeout });
      await chmod(join(directory.path, 'bin', 'timeout'), 0o755);
      const path = `${directory.path}/bin:${process.env['PATH'] ?? ''}`;
      const { error } = await ending({ paths: [join(logs, 'a.log')] }, { path });
      assert.match(error?.message ?? '', /leads out of the allow-list/);
    });

    it('a file with more than one name', async () => {
      await directory.write({ secret: 'secret' });
      await link(join(directory.path, 'secret'), join(logs, 'hard'));
      assert.match(String(await refusal(join(logs, 'hard'))), /it has 2 names/);
    });

    for (const tool of ['stat', 'readlink']) {
      it(`a file with more than one name whose name here goes before ${tool} is asked`, async () => {
        await directory.write({ secret: 'secret' });
        await link(join(directory.path, 'secret'), join(logs, 'hard'));
        const sabotage = `#!/bin/sh\nrm -f ${logs}/hard\nexec /usr/bin/${tool} "$@"\n`;
        await directory.write({ [`bin/${tool}`]: sabotage });
        await chmod(join(directory.path, 'bin', tool), 0o755);
        const path = `${directory.path}/bin:${process.env['PATH'] ?? ''}`;
        const { error } = await ending({ paths: [join(logs, 'hard')] }, { path });
        assert.match(error?.message ?? '', /it was removed while it was opened/);
      });
    }

    it('a FIFO, a socket, a device and a directory, without opening them', async () => {
      const fifo = join(logs, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const server = createServer().listen(join(logs, 'socket'));
      await new Promise((resolve) => server.once('listening', resolve));
      await symlink('/dev/zero', join(logs, 'zero'));
      await mkdir(join(logs, 'directory'));
      try {
        for (const name of ['fifo', 'socket', 'zero', 'directory']) {
          assert.equal(await refusal(join(logs, name)), 'it is not a regular file');
        }
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });

    it('a sparse giant', async () => {
      await directory.write({ 'logs/giant': 'text\n' });
      await truncate(join(logs, 'giant'), 2 ** 40);
      assert.match(String(await refusal(join(logs, 'giant'))), /^it is sparse: 1099511627776 bytes long/);
    });

    it('what this user may not read, beside what they may', async function () {
      skipUnlessRoot(this);
      await directory.write({ 'logs/a.log': 'a\n', 'logs/locked/b.log': 'b\n' });
      await chmod(directory.path, 0o755);
      await chmod(join(logs, 'a.log'), 0o600);
      await chmod(join(logs, 'locked'), 0o700);
      assert.equal(await refusal(join(logs, 'a.log'), { uid: 65_534 }), 'this user may not read it');
      assert.match(String(await refusal(join(logs, 'locked', 'b.log'), { uid: 65_534 })), /may not enter/);
    });
  });

  it('fails where nothing can be read, with the reason of each source', async () => {
    const { error } = await ending({ paths: [join(logs, 'a'), '/etc/passwd'] });
    assert.equal(error?.code, 3);
    assert.match(error.message, /^None of the sources could be read\. .*\/a: it is not there/);
    assert.equal((error.details['sources'] as Source[]).length, 2);
  });

  it('leaves out files that have not changed since', async () => {
    await directory.write({ 'logs/new.log': 'new\n', 'logs/old.log': 'old\n' });
    await utimes(join(logs, 'old.log'), 1_700_000_000, 1_700_000_000);
    for (const since of [
      '-1h',
      '2023-11-14T22:13:21Z',
      '2023-11-15T00:13:21+02:00',
      '2023-11-14T20:13:20.5-02:01',
    ]) {
      const { sources } = await gather({ paths: [join(logs, '*.log')], since });
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
      const { sources } = await gather({ paths: [join(logs, '*.log')], since });
      assert.equal(sources[1]?.state, 'taken', since);
    }
  });

  it('takes no more than its limits, from the end of each file', async () => {
    const line = `${'x'.repeat(99)}\n`;
    await directory.write({
      'logs/a': line.repeat(100),
      'logs/b': line.repeat(100),
      'logs/c': line.repeat(100),
    });
    const params = { paths: [join(logs, '*')], source_bytes_max: 2000, bytes_max: 3000 };
    const { sources, truncated, text_bytes: text } = await gather(params);
    assert.deepEqual(
      sources.map(({ bytes }) => bytes),
      [2000, sources[1]?.bytes, 0],
    );
    assert.ok((sources[1]?.bytes ?? 0) > 900 && text <= 3100);
    assert.ok(truncated && sources.every((source) => source.truncated));
  });

  it('gives each source its share where the archive is full, and stays below a megabyte', async () => {
    for (let at = 0; at < 4; at++) await writeFile(join(logs, `${at}`), randomBytes(200_000));
    for (const compress of [true, false]) {
      const run = await ending({ paths: [join(logs, '*')], last_lines: 2, compress });
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
    await writeFile(join(logs, 'a'), bytes);
    const gathered = await gather({ paths: [join(logs, 'a')] });
    assert.deepEqual(taken(gathered, 0), bytes);
    const [source] = gathered.sources;
    assert.equal(source?.lines, 3);
    assert.deepEqual(source.last_lines, ['\u001b[2J\ufffdzero "q" \\ ü', '\ufffd\ufffd', 'é'.repeat(250)]);
  });

  it('bounds the last lines of all sources together', async () => {
    const line = `${'\u0001'.repeat(499)}\n`;
    for (let at = 0; at < 3; at++) await writeFile(join(logs, `${at}`), line.repeat(50));
    const { sources } = await gather({ paths: [join(logs, '*')], last_lines: 50 });
    assert.ok(JSON.stringify(sources).length < 70_000);
    assert.ok((sources[0]?.last_lines.length ?? 0) > 20);
    assert.deepEqual(sources[2]?.last_lines, []);
  });

  it('says that an empty file is empty', async () => {
    await writeFile(join(logs, 'a'), '');
    const gathered = await gather({ paths: [join(logs, 'a')] });
    assert.deepEqual([gathered.sources[0]?.state, gathered.text_bytes], ['taken', 0]);
    assert.equal('archive' in gathered, false);
  });

  it('does not compress where that is not wanted, or the node has no gzip', async () => {
    await writeFile(join(logs, 'a'), 'text\n');
    const path = await makeToolPath(join(directory.path, 'tools'), TOOLS);
    for (const gathered of [
      await gather({ paths: [join(logs, 'a')], compress: false }),
      await gather({ paths: [join(logs, 'a')] }, { path }),
    ]) {
      assert.deepEqual([gathered.compressed, 'archive' in gathered], [false, false]);
      assert.equal(taken(gathered, 0).toString(), 'text\n');
    }
  });

  itNamesMissingTools(TOOLS, async (path) => (await ending({ paths: [logs] }, { path })).error);

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
      await makeToolPath(join(directory.path, 'tools'), [...TOOLS, 'gzip']);
      await node.state(state);
      return node;
    };

    it('asks for the unit, the lines and the time, and no more', async () => {
      const node = await scripted({ journal: 'one\ntwo\nthree\n' });
      try {
        const path = `${node.path}/bin:${directory.path}/tools`;
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
      await writeFile(join(logs, 'good.log'), 'good\n');
      const node = await scripted({});
      try {
        const tools = `${directory.path}/tools`;
        const params = { units: ['nginx'], paths: [join(logs, 'good.log')] };
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
      const tools = await makeToolPath(join(directory.path, 'tools'), [...TOOLS, 'gzip']);
      const journalctl = `#!/bin/sh
case "$*" in *--quiet*) ;; *) echo 'Hint: You are currently not seeing messages from other users and the system.' >&2 ;; esac
`;
      await directory.write({ 'bin/journalctl': journalctl });
      await chmod(join(directory.path, 'bin', 'journalctl'), 0o755);
      await chmod(directory.path, 0o755);
      const path = `${directory.path}/bin:${tools}:/bin`;
      const { error } = await ending({ units: ['nginx'] }, { path, uid: 65_534 });
      assert.match(error?.message ?? '', /nginx: this user may not read the journal/);
      const [source] = (await gather({ units: ['nginx'] }, { path })).sources;
      assert.deepEqual([source?.state, source?.bytes], ['taken', 0]);
    });
  });
});
