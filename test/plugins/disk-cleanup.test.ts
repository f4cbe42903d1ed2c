import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { skipUnlessRoot } from '../support/skip.js';
import { acceptsParams, makeToolPath, runShippedAction, type ActionEnding } from './shipped-action.js';

const TOOLS = ['df', 'find', 'head', 'id', 'readlink', 'rm', 'sort', 'stat', 'timeout'];
const DAY_SECONDS = 86_400;
const NOBODY = 65_534;
const JOURNAL_ID = 'f'.repeat(32);

interface Item {
  readonly item: string;
  readonly freed_bytes: number;
  readonly files: number;
  readonly command: string | null;
  readonly privilege: string;
  readonly error: string | null;
}

interface Cleaned {
  readonly message: string;
  readonly freed_bytes: number;
  readonly items: readonly Item[];
  readonly rotated_logs: readonly {
    path: string;
    bytes: number;
    modified: string | null;
    state: string;
    reason: string | null;
  }[];
  readonly rotated_logs_left: number;
  readonly rotated_logs_not_listed: number;
  readonly rotated_logs_beyond_limit: number;
  readonly processes_unreadable: number;
  readonly file_systems: readonly {
    available_bytes_before: number;
    available_bytes_after: number | null;
  }[];
}

const itemsOf = (error: ActionEnding['error']): readonly Item[] => (error?.details['items'] ?? []) as Item[];

describe('disk-cleanup', () => {
  let node: ScriptedNode;
  let state: string;
  let logs: string;
  let path: string;

  beforeEach(async () => {
    node = await makeScriptedNode(['journalctl', 'apt-get', 'sudo']);
    state = join(node.path, 'state');
    logs = join(state, 'logs');
    path = `${node.path}/bin:${await makeToolPath(join(node.path, 'cleanup-tools'), [...TOOLS, 'cat', 'env'])}`;
    await node.state({ 'logs/.keep': '', 'packages/.keep': '', 'journal-files/.keep': '' });
  });
  afterEach(() => node.remove());

  interface Setting {
    readonly dryRun?: boolean;
    readonly uid?: number;
    readonly path?: string;
    readonly patterns?: readonly string[];
  }
  const ending = (params: object, setting: Setting = {}): Promise<ActionEnding> =>
    runShippedAction('disk-cleanup', {
      params,
      dryRun: setting.dryRun === true,
      configuration: {
        rotated_logs: (setting.patterns ?? ['**/*.gz', '**/*.[0-9]']).map((pattern) => join(logs, pattern)),
        journal_directories: [join(state, 'journal-files')],
        package_cache_directories: [join(state, 'packages'), join(state, 'nothing')],
      },
      environment: { PATH: setting.path ?? path },
      ...(setting.uid === undefined ? {} : { uid: setting.uid }),
    });
  async function clean(params: object, setting: Setting = {}): Promise<Cleaned> {
    const { error, output, stderr } = await ending(params, setting);
    assert.equal(error, null, JSON.stringify(error));
    assert.equal(stderr, '');
    return output as unknown as Cleaned;
  }

  /** Writes files below the logs and makes them this old; resolves with the bytes that they take. */
  async function rotated(files: Readonly<Record<string, string | Buffer>>, days = 30): Promise<number> {
    let bytes = 0;
    for (const [name, content] of Object.entries(files)) {
      const file = join(logs, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
      await age(file, days);
      bytes += (await stat(file)).blocks * 512;
    }
    return bytes;
  }
  async function age(file: string, days: number): Promise<void> {
    const seconds = Date.now() / 1000 - days * DAY_SECONDS;
    await utimes(file, seconds, seconds);
  }
  /** An archived journal of this size, whose first entry is this old. */
  async function archived(days: number, bytes: number): Promise<string> {
    const micros = BigInt(Math.floor(Date.now() / 1000 - days * DAY_SECONDS)) * 1_000_000n;
    const name = `m/system@${JOURNAL_ID}-${'0'.repeat(16)}-${micros.toString(16).padStart(16, '0')}.journal`;
    await mkdir(join(state, 'journal-files', 'm'), { recursive: true });
    await writeFile(join(state, 'journal-files', name), Buffer.alloc(bytes, 1));
    return `journal-files/${name}`;
  }
  /** What these files below the state take. */
  async function allocated(...names: readonly string[]): Promise<number> {
    const found = await Promise.all(names.map((name) => stat(join(state, name))));
    return found.reduce((bytes, { blocks }) => bytes + blocks * 512, 0);
  }
  const exists = (file: string): Promise<boolean> =>
    lstat(file).then(
      () => true,
      () => false,
    );

  /** A PATH on which this program does something first. */
  async function sabotaged(program: string, what: string): Promise<string> {
    const place = join(node.path, 'sabotage');
    await mkdir(place, { recursive: true });
    const real = execFileSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { encoding: 'utf8' }).trim();
    await writeFile(join(place, program), `#!/bin/sh\n${what}\nexec ${real} "$@"\n`);
    await chmod(join(place, program), 0o755);
    return `${place}:${path}:/bin:/usr/bin`;
  }

  it('removes rotated logs that match and are old enough, and says what they took', async () => {
    const bytes = await rotated({
      'a.log.1': 'x'.repeat(9000),
      'sub dir/deep/b.log.2.gz': Buffer.alloc(70_000, 1),
      'sub dir/ü.gz': 'x',
    });
    await rotated({ 'a.log': 'kept', 'new.gz': 'kept', 'sub dir/c.10': 'kept', 'd.gz.txt': 'kept' });
    await age(join(logs, 'new.gz'), 9);
    const cleaned = await clean({ rotated_logs_keep_days: 10 });
    assert.equal(cleaned.freed_bytes, bytes);
    assert.equal(cleaned.message, `Freed ${bytes} bytes`);
    assert.deepEqual(cleaned.items, [
      {
        item: 'rotated_logs',
        freed_bytes: bytes,
        files: 3,
        command: null,
        privilege: process.getuid?.() === 0 ? 'root' : 'none',
        error: null,
      },
    ]);
    assert.deepEqual(
      cleaned.rotated_logs.map((file) => [file.path.slice(logs.length + 1), file.state, file.reason]),
      [
        ['sub dir/deep/b.log.2.gz', 'removed', null],
        ['a.log.1', 'removed', null],
        ['sub dir/ü.gz', 'removed', null],
      ],
    );
    const left = (await readdir(logs, { recursive: true })).toSorted();
    assert.deepEqual(left, [
      '.keep',
      'a.log',
      'd.gz.txt',
      'new.gz',
      'sub dir',
      'sub dir/c.10',
      'sub dir/deep',
    ]);
    const [space] = cleaned.file_systems;
    assert.ok((space?.available_bytes_before ?? 0) > 0 && typeof space?.available_bytes_after === 'number');
    assert.deepEqual(await node.calls(), []);
  });

  it('cleans the journal and the package cache with their own programs', async () => {
    const old = await archived(20, 40_000);
    await archived(1, 8000);
    await node.state({ vacuum: `${old}\n`, 'packages/a.deb': 'x'.repeat(5000), 'packages/lock': '' });
    const params = { journal_keep_mib: 500, journal_keep_days: 14, package_caches: true };
    const packages = await allocated('packages/a.deb');
    const journals = await allocated(old);
    const cleaned = await clean(params);
    const bin = join(node.path, 'bin');
    assert.deepEqual(
      cleaned.items.map(({ item, freed_bytes: freed, files, command, error }) => [
        item,
        freed,
        files,
        command,
        error,
      ]),
      [
        ['apt-get', packages, 1, `${bin}/apt-get clean`, null],
        ['journal', journals, 1, `${bin}/journalctl --vacuum-size=500M --vacuum-time=14d`, null],
      ],
    );
    assert.equal(cleaned.freed_bytes, packages + journals);
    assert.deepEqual(await node.calls(), [
      ['apt-get', 'clean'],
      ['journalctl', '--vacuum-size=500M', '--vacuum-time=14d'],
    ]);
  });

  for (const uid of [undefined, NOBODY]) {
    it(`changes nothing in a dry run ${uid === undefined ? 'of this user' : 'of another user'}`, async function () {
      if (uid !== undefined) skipUnlessRoot(this);
      const bytes = await rotated({ 'a.gz': 'x'.repeat(9000), 'sub/b.1': 'x' });
      const old = await archived(20, 40_000);
      await archived(1, 8000);
      const bin = join(node.path, 'bin');
      await node.state({
        'packages/a.deb': 'x'.repeat(5000),
        sudoers: `${bin}/apt-get clean\n${bin}/journalctl --vacuum-time=14d\n`,
      });
      const packages = await allocated('packages/a.deb');
      const journals = await allocated(old);
      const before = await node.stateDigest();
      const cleaned = await clean(
        { journal_keep_days: 14, package_caches: true, rotated_logs_keep_days: 10 },
        { dryRun: true, ...(uid === undefined ? {} : { uid }) },
      );
      assert.equal(await node.stateDigest(), before);
      assert.deepEqual(
        cleaned.items.map(({ item, freed_bytes: freed, files, error }) => [item, freed, files, error]),
        [
          ['rotated_logs', bytes, 2, null],
          ['apt-get', packages, 1, null],
          ['journal', journals, 1, null],
        ],
      );
      assert.equal(cleaned.message, `Would free ${bytes + packages + journals} bytes`);
      assert.deepEqual(
        cleaned.rotated_logs.map((file) => file.state),
        ['would_remove', 'would_remove'],
      );
      assert.equal(cleaned.file_systems[0]?.available_bytes_after, null);
      // Whether sudo allows it is asked; nothing else is called.
      for (const call of await node.calls()) assert.deepEqual(call.slice(0, 3), ['sudo', '-n', '-l']);
    });
  }

  it('counts for a dry run the archived journals that do not fit or are too old', async () => {
    for (const [days, mib] of [
      [1, 2],
      [2, 2],
      [3, 2],
      [40, 1],
    ] as const) {
      await archived(days, mib * 1_048_576);
    }
    await node.state({ 'journal-files/m/system.journal': 'x'.repeat(9000) });
    const mib = async (params: object): Promise<number> =>
      (await clean(params, { dryRun: true })).freed_bytes / 1_048_576;
    assert.equal(await mib({ journal_keep_mib: 7 }), 0);
    assert.equal(await mib({ journal_keep_mib: 6 }), 1);
    assert.equal(await mib({ journal_keep_mib: 3 }), 5);
    assert.equal(await mib({ journal_keep_days: 30 }), 1);
    assert.equal(await mib({ journal_keep_mib: 5, journal_keep_days: 30 }), 3);
  });

  it('removes a file that says it is from before 1970', async () => {
    await rotated({ 'a.gz': '' });
    execFileSync('touch', ['-d', '@-5', join(logs, 'a.gz')]);
    const [log] = (await clean({ rotated_logs_keep_days: 10 })).rotated_logs;
    assert.deepEqual([log?.state, log?.modified], ['removed', null]);
  });

  describe('leaves alone', () => {
    const reasons = ({ rotated_logs: files }: Cleaned): Record<string, string | null> =>
      Object.fromEntries(files.map((file) => [file.path.slice(logs.length + 1), file.reason]));

    it('links, what is below them, and what is no regular file', async () => {
      await node.state({ 'outside/a.gz': 'kept' });
      await age(join(state, 'outside', 'a.gz'), 30);
      await symlink('../outside', join(logs, 'link'));
      await symlink('../outside/a.gz', join(logs, 'b.gz'));
      execFileSync('mkfifo', [join(logs, 'fifo.gz')]);
      await mkdir(join(logs, 'directory.gz'));
      for (const name of ['fifo.gz', 'directory.gz']) await age(join(logs, name), 30);
      const before = await node.stateDigest();
      assert.deepEqual((await clean({ rotated_logs_keep_days: 10 })).rotated_logs, []);
      assert.equal(await node.stateDigest(), before);
    });

    it('nothing because of brackets, blanks and signs of the shell in a name', async () => {
      const names = ['@.gz', '].gz', '[a].gz', '*.gz', '$(id).gz', '-rf.gz', ' .gz', '%b.gz'];
      await rotated(Object.fromEntries(names.map((name) => [`sub ]/${name}`, ''])));
      const cleaned = await clean({ rotated_logs_keep_days: 10 });
      assert.deepEqual([cleaned.items[0]?.files, cleaned.rotated_logs_left], [names.length, 0]);
      assert.deepEqual(await readdir(join(logs, 'sub ]')), []);
    });

    it('names that could be taken for something else', async () => {
      const names = ["it's.gz", 'back\\slash.gz', 'two\nlines.gz', 'strange\ndirectory/a.gz', '"quoted".1'];
      await rotated(Object.fromEntries(names.map((name) => [name, ''])));
      assert.deepEqual((await clean({ rotated_logs_keep_days: 10 })).rotated_logs, []);
      for (const name of names) assert.ok(await exists(join(logs, name)));
    });

    it('a file that a process has open, and one with several names', async () => {
      await rotated({ 'open.gz': 'x', 'two.1': 'x', 'gone.gz': 'x' });
      await link(join(logs, 'two.1'), join(state, 'second'));
      const handle = await open(join(logs, 'open.gz'), 'r');
      // Its name has no last part.
      const root = await open('/', 'r');
      try {
        const cleaned = await clean({ rotated_logs_keep_days: 10 });
        assert.deepEqual(reasons(cleaned), {
          'gone.gz': null,
          'open.gz': 'a process has it open',
          'two.1': 'it has several names, and removing one frees nothing',
        });
        assert.deepEqual([cleaned.rotated_logs_left, cleaned.items[0]?.error], [2, null]);
        assert.ok((await exists(join(logs, 'open.gz'))) && (await exists(join(logs, 'two.1'))));
      } finally {
        await handle.close();
        await root.close();
      }
    });

    it('a file of a name that more processes have open than can be looked at', async () => {
      await rotated({ 'crowd.gz': 'x', 'gone.gz': 'x' });
      await node.state({ 'outside/crowd.gz': 'x' });
      const handles: FileHandle[] = [];
      try {
        for (let at = 0; at < 1001; at++) handles.push(await open(join(state, 'outside', 'crowd.gz'), 'r'));
        const found = reasons(await clean({ rotated_logs_keep_days: 10 }));
        assert.match(String(found['crowd.gz']), /^a process may have it open/);
        assert.equal(found['gone.gz'], null);
      } finally {
        for (const handle of handles) await handle.close();
      }
    });

    it('a directory that became a link after the search', async () => {
      await rotated({ 'sub/a.gz': 'x' });
      await node.state({ 'outside/a.gz': 'kept' });
      const swap = `mv ${logs}/sub ${logs}/moved; ln -s ${state}/outside ${logs}/sub`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('sort', swap) });
      assert.deepEqual(reasons(cleaned), { 'sub/a.gz': 'its directory has changed meanwhile' });
      assert.ok(
        (await exists(join(state, 'outside', 'a.gz'))) && (await exists(join(logs, 'moved', 'a.gz'))),
      );
    });

    it('what a directory leads to that becomes a link at the last moment', async () => {
      await rotated({ 'sub/a.gz': 'x' });
      await node.state({ 'outside/a.gz': 'kept' });
      const swap = `mv ${logs}/sub ${logs}/moved; ln -s ${state}/outside ${logs}/sub`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('rm', swap) });
      assert.deepEqual(reasons(cleaned), { 'sub/a.gz': null });
      assert.ok(await exists(join(state, 'outside', 'a.gz')));
      assert.equal(await exists(join(logs, 'moved', 'a.gz')), false);
    });

    it('a file that became another after the search', async () => {
      await rotated({ 'a.gz': 'x', 'b.gz': 'x', 'c.gz': 'x' });
      const swap = `cd ${logs}; echo new >d; mv d a.gz; rm b.gz; touch c.gz`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('sort', swap) });
      assert.deepEqual(reasons(cleaned), {
        'a.gz': 'it has changed meanwhile',
        'b.gz': 'it has gone meanwhile',
        'c.gz': 'it has changed meanwhile',
      });
      assert.ok((await exists(join(logs, 'a.gz'))) && (await exists(join(logs, 'c.gz'))));
    });

    it('everything below a configured directory that is a link', async () => {
      await rotated({ 'a.gz': 'x' });
      await rename(logs, `${logs}-real`);
      await symlink(`${logs}-real`, logs);
      const { error } = await ending({ rotated_logs_keep_days: 10 });
      assert.equal(error?.code, 3);
      assert.match(error.message, /logs is a link or cannot be entered/);
      assert.ok(await exists(join(`${logs}-real`, 'a.gz')));
    });
  });

  it('removes the largest first where there are too many, and counts the rest', async () => {
    await rotated({ 'a.gz': 'x', 'b.gz': 'x'.repeat(9000), 'c.gz': 'x'.repeat(90_000) });
    const cleaned = await clean({ rotated_logs_keep_days: 10, files_max: 2 });
    assert.equal(cleaned.rotated_logs_beyond_limit, 1);
    assert.deepEqual([await exists(join(logs, 'a.gz')), await exists(join(logs, 'c.gz'))], [true, false]);
  });

  it('lists 200 files and counts the others', async () => {
    await rotated(Object.fromEntries(Array.from({ length: 205 }, (_, at) => [`${at}.gz`, ''])));
    const cleaned = await clean({ rotated_logs_keep_days: 10 }, { dryRun: true });
    assert.deepEqual([cleaned.rotated_logs.length, cleaned.rotated_logs_not_listed], [200, 5]);
    assert.equal(cleaned.items[0]?.files, 205);
  });

  describe('where something fails', () => {
    it('says so of that item and does the others', async () => {
      await node.state({
        'apt-get-fails': 'E: Could not get lock\nE: more\n',
        'packages/a.deb': 'x',
        vacuum: '',
      });
      const bytes = await rotated({ 'a.gz': 'x' });
      const cleaned = await clean({ rotated_logs_keep_days: 10, package_caches: true, journal_keep_days: 1 });
      assert.deepEqual(
        cleaned.items.map(({ item, error }) => [item, error]),
        [
          ['rotated_logs', null],
          ['apt-get', 'it ended with status 100: E: Could not get lock'],
          ['journal', null],
        ],
      );
      assert.equal(cleaned.message, `Freed ${bytes} bytes; 1 of 3 items failed`);
    });

    it('fails where everything does, with each item', async () => {
      await node.state({ 'apt-get-fails': 'E: Could not get lock\n', 'vacuum-fails': 'No\n' });
      const { error } = await ending({ package_caches: true, journal_keep_days: 1 });
      assert.deepEqual(
        [error?.code, error?.message, itemsOf(error).length],
        [3, 'Nothing could be cleaned. apt-get: it ended with status 100: E: Could not get lock', 2],
      );
    });

    it('says of each item what the node has not', async () => {
      const { error } = await ending(
        { package_caches: true, journal_keep_days: 1 },
        { path: join(node.path, 'cleanup-tools') },
      );
      assert.deepEqual(
        itemsOf(error).map(({ item, error: why }) => [item, why]),
        [
          ['package_caches', 'this node has none of apt-get, dnf and yum'],
          ['journal', 'this node has no journalctl'],
        ],
      );
    });

    for (const dryRun of [false, true]) {
      it(`names the line that sudoers lacks${dryRun ? ', also in a dry run' : ''}`, async function () {
        skipUnlessRoot(this);
        const { error } = await ending({ journal_keep_mib: 500 }, { uid: NOBODY, dryRun });
        assert.equal(error?.code, 4);
        assert.ok(
          error.message.endsWith(` ALL=(root) NOPASSWD: ${node.path}/bin/journalctl --vacuum-size\\=500M`),
          error.message,
        );
        assert.deepEqual(
          (await node.calls()).map(([command, , flag]) => [command, flag]),
          [['sudo', '-l']],
        );
      });
    }

    it('says of files that this user may not remove them, also in a dry run', async function () {
      skipUnlessRoot(this);
      const bytes = await rotated({ 'locked/a.gz': 'x', 'b.gz': 'x' });
      await chmod(join(logs, 'locked'), 0o755);
      await chmod(logs, 0o777);
      for (const dryRun of [true, false]) {
        const cleaned = await clean({ rotated_logs_keep_days: 10 }, { uid: NOBODY, dryRun });
        assert.equal(cleaned.freed_bytes, bytes / 2);
        assert.equal(
          cleaned.items[0]?.error,
          '1 of 2 files could not be removed: this user may not remove files from its directory',
        );
        assert.ok(cleaned.processes_unreadable > 0);
      }
      assert.deepEqual(
        [await exists(join(logs, 'locked', 'a.gz')), await exists(join(logs, 'b.gz'))],
        [true, false],
      );
    });
  });

  it('runs by sudo what sudo allows', async function () {
    skipUnlessRoot(this);
    const bin = join(node.path, 'bin');
    await node.state({ sudoers: `${bin}/apt-get clean\n`, 'packages/a.deb': 'x' });
    const bytes = await allocated('packages/a.deb');
    const cleaned = await clean({ package_caches: true }, { uid: NOBODY });
    assert.deepEqual(cleaned.items, [
      {
        item: 'apt-get',
        freed_bytes: bytes,
        files: 1,
        command: `sudo -n -- ${bin}/apt-get clean`,
        privilege: 'sudo',
        error: null,
      },
    ]);
    assert.deepEqual(await node.calls(), [
      ['sudo', '-n', '-l', '--', `${bin}/apt-get`, 'clean'],
      ['sudo', '-n', '--', `${bin}/apt-get`, 'clean'],
      ['apt-get', 'clean'],
    ]);
  });

  it('cleans the packages of dnf', async () => {
    const other = await makeScriptedNode(['dnf']);
    try {
      await node.state({ 'packages/a.deb': 'x', 'packages/b.rpm': 'x' });
      const tools = join(node.path, 'cleanup-tools');
      const cleaned = await clean(
        { package_caches: true },
        { path: `${other.path}/bin:${tools}`, dryRun: true },
      );
      assert.deepEqual(
        cleaned.items.map(({ item, files, command }) => [item, files, command]),
        [['dnf', 1, `${other.path}/bin/dnf clean packages`]],
      );
      await clean({ package_caches: true }, { path: `${other.path}/bin:${tools}` });
      assert.deepEqual(await other.calls(), [['dnf', 'clean', 'packages']]);
    } finally {
      await other.remove();
    }
  });

  it('needs something to do, and a configuration', async () => {
    assert.equal((await ending({})).error?.code, 1);
    for (const [configuration, field] of [
      [{}, 'rotated_logs'],
      [{ rotated_logs: ['/var/log/../../etc/*'] }, 'rotated_logs'],
    ] as const) {
      const { error } = await runShippedAction('disk-cleanup', {
        params: { rotated_logs_keep_days: 1 },
        configuration,
        unchecked: true,
      });
      assert.deepEqual([error?.code, error?.details['field']], [4, field]);
    }
  });

  it('refuses parameters that the schema does not describe', () => {
    assert.ok(
      acceptsParams('disk-cleanup', { journal_keep_mib: 1, package_caches: true, files_max: 10_000 }),
    );
    for (const params of [
      { journal_keep_mib: 0 },
      { journal_keep_days: '1 --rotate' },
      { rotated_logs_keep_days: 0 },
      { rotated_logs: ['/etc/*'] },
      { package_caches: 'yes' },
    ]) {
      assert.equal(acceptsParams('disk-cleanup', params), false, JSON.stringify(params));
    }
  });

  for (const tool of TOOLS) {
    it(`ends with code 2 and names ${tool} where it is missing`, async () => {
      const tools = await makeToolPath(
        join(node.path, 'fewer'),
        TOOLS.filter((each) => each !== tool),
      );
      const { error } = await ending({ package_caches: true }, { path: tools });
      assert.deepEqual([error?.code, error?.details], [2, { missing: tool }]);
    });
  }
});
