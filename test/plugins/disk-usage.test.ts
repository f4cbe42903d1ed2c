import assert from 'node:assert/strict';
import { chmod, mkdir, open, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProcesses } from '../support/processes.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, errorOfAction, makeToolPath, outputOfAction } from './shipped-action.js';
import { skipUnlessRoot } from '../support/skip.js';

const TOOLS = ['df', 'du', 'head', 'readlink', 'sort', 'stat', 'timeout'];

interface FileSystem {
  readonly mount: string;
  readonly size_bytes: number;
  readonly inodes: { readonly total: number } | null;
}

interface Directories {
  readonly total_size_bytes?: number | null;
  readonly total_inodes?: number | null;
  readonly complete: boolean;
  readonly incomplete_because: string | null;
  readonly largest: readonly { path: string; size_bytes?: number; inodes?: number }[];
}

interface DeletedOpen {
  readonly allocated_bytes: number;
  readonly file_count: number;
  readonly processes_unreadable: number;
  readonly largest: readonly Record<string, unknown>[];
}

const usage = async (
  params: object,
  environment: Readonly<Record<string, string>> = {},
): Promise<{
  file_systems: FileSystem[];
  directories: Directories;
  deleted_open: DeletedOpen;
  notes?: string[];
}> => (await outputOfAction('disk-usage', params, { environment })) as Awaited<ReturnType<typeof usage>>;

describe('disk-usage', () => {
  let directory: TempDirectory;

  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  /** A PATH where these scripts come before the programs of the machine. */
  async function pathWith(programs: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    await directory.write(
      Object.fromEntries(Object.entries(programs).map(([name, text]) => [`bin/${name}`, text])),
    );
    for (const name of Object.keys(programs)) await chmod(join(directory.path, 'bin', name), 0o755);
    return { PATH: `${directory.path}/bin:${process.env['PATH'] ?? ''}` };
  }

  it('agrees with what Node sees of the file system, in bytes and inodes', async () => {
    const { file_systems: all, directories } = await usage({});
    const { blocks, bsize, files } = await statfs('/');
    const root = all.find(({ mount }) => mount === '/');
    assert.equal(root?.size_bytes, blocks * bsize);
    assert.equal(root.inodes?.total ?? 0, files);
    assert.equal(directories, null);
  });

  it('reads blanks in names, and null where inodes are not counted', async () => {
    const rows = [
      'Filesystem Type 1B-blocks Used Avail Inodes IUsed IFree Mounted on',
      '//nas/my share cifs 9000000000000000000 6000000000000000000 3000000000000000000 0 0 0 /mnt/a b',
      '/dev/sdb1 btrfs 1000 999 -5 - - - /srv/\u00fc',
      'none tmpfs 0 0 0 5 1 4 /empty',
    ];
    const environment = await pathWith({ df: `#!/bin/sh\ncat <<"EOF"\n${rows.join('\n')}\nEOF\nexit 1\n` });
    const { file_systems: all } = await usage({}, environment);
    assert.deepEqual(all, [
      {
        mount: '/mnt/a b',
        device: '//nas/my share',
        type: 'cifs',
        size_bytes: 9e18,
        used_bytes: 6e18,
        available_bytes: 3e18,
        used_percent: 66.7,
        inodes: null,
      },
      {
        mount: '/srv/\u00fc',
        device: '/dev/sdb1',
        type: 'btrfs',
        size_bytes: 1000,
        used_bytes: 999,
        available_bytes: 0,
        used_percent: 100,
        inodes: null,
      },
    ]);
  });

  it('lists the local file systems where a dead one stops df', async () => {
    const df = `#!/bin/sh\ncase "$*" in\n*--local*) echo 'd ext4 100 1 99 10 1 9 /' ;;\n*) exit 124 ;;\nesac\n`;
    const { file_systems: all, notes } = await usage({}, await pathWith({ df }));
    assert.deepEqual(
      all.map(({ mount }) => mount),
      ['/'],
    );
    assert.deepEqual(notes, ['df gave no answer within 8 s; only local file systems are listed']);
  });

  it('lists the largest directories first, each with what is below it, whatever their names', async () => {
    const strange = 'new\nline "quoted" \\ \u00fc $(id)\t';
    await directory.write({
      [`tree/${strange}/deep/deeper/a`]: Buffer.alloc(400_000, 1),
      'tree/-rf/b': Buffer.alloc(200_000, 1),
      'tree/small/c': 'c',
      'tree/d': Buffer.alloc(900_000, 1),
    });
    const path = join(directory.path, 'tree');
    const { directories } = await usage({ path: `${path}//`, depth: 2, count: 3 });
    assert.deepEqual(
      directories.largest.map((found) => found.path),
      [`${path}/${strange}`, `${path}/${strange}/deep`, `${path}/-rf`],
    );
    const [first, , third] = directories.largest;
    assert.ok((first?.size_bytes ?? 0) >= 400_000 && (third?.size_bytes ?? 0) >= 200_000);
    assert.ok((directories.total_size_bytes ?? 0) >= 1_500_000);
    assert.equal(directories.complete, true);
  });

  it('replaces bytes that are no UTF-8', async () => {
    const path = join(directory.path, 'tree');
    await mkdir(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff])]), { recursive: true });
    const { directories } = await usage({ path });
    assert.deepEqual(
      directories.largest.map((found) => found.path),
      [`${path}/\ufffd`],
    );
  });

  it('counts inodes', async () => {
    await directory.write({ 'tree/many/a': '', 'tree/many/b': '', 'tree/many/c': '', 'tree/few/a': '' });
    const path = join(directory.path, 'tree');
    const { directories } = await usage({ path, by: 'inodes' });
    assert.deepEqual(directories.largest, [
      { path: `${path}/many`, inodes: 4 },
      { path: `${path}/few`, inodes: 2 },
    ]);
    assert.equal(directories.total_inodes, 7);
  });

  it('follows a path that is a symbolic link', async () => {
    await directory.write({ 'tree/a/b': '' });
    const path = join(directory.path, 'link');
    await symlink('tree', path);
    const { directories } = await usage({ path });
    assert.deepEqual(
      directories.largest.map((found) => found.path),
      [`${path}/a`],
    );
  });

  it('reports what it found so far when the time is over', async () => {
    const du = `#!/bin/sh\nprintf '4096\\t/etc/found\\0'\nexec sleep 61.7\n`;
    const { directories } = await usage({ path: '/etc', seconds_max: 1 }, await pathWith({ du }));
    assert.deepEqual(directories, {
      path: '/etc',
      by: 'size',
      total_size_bytes: null,
      complete: false,
      incomplete_because: 'timeout',
      largest: [{ path: '/etc/found', size_bytes: 4096 }],
    });
  });

  it('stops a listing that is too long', async () => {
    const du = `#!/bin/sh\nyes "$(printf '1\\t/etc/%01000d' 0)" | tr '\\n' '\\0'\n`;
    const { directories } = await usage({ path: '/etc', count: 2 }, await pathWith({ du }));
    assert.equal(directories.incomplete_because, 'too_many');
    assert.equal(directories.largest.length, 2);
  });

  it('says that some directories were unreadable for the user', async function () {
    skipUnlessRoot(this);
    await directory.write({ 'tree/secret/a': '', 'tree/open/a': '' });
    await chmod(directory.path, 0o755);
    const path = join(directory.path, 'tree');
    await chmod(join(path, 'secret'), 0o700);
    const found = (await outputOfAction('disk-usage', { path }, { uid: 65_534 })) as {
      directories: Directories;
      deleted_open: DeletedOpen;
    };
    assert.equal(found.directories.incomplete_because, 'unreadable');
    assert.ok(found.deleted_open.processes_unreadable > 0);
  });

  it('finds a deleted file that is still open, with its true size and its process', async () => {
    const name = 'gone \u00fc "x"\n(deleted)\n';
    const path = join(directory.path, name);
    const first = await open(path, 'w+');
    await first.write(Buffer.alloc(40_000_000, 1));
    await first.sync();
    const second = await open(path, 'r');
    const allocated = (await stat(path)).blocks * 512;
    await rm(path);
    try {
      const { deleted_open: deleted } = await usage({ count: 100 });
      assert.deepEqual(
        deleted.largest.filter((file) => file['pid'] === process.pid && file['path'] === `${path} (deleted)`),
        [
          {
            path: `${path} (deleted)`,
            allocated_bytes: allocated,
            size_bytes: 40_000_000,
            pid: process.pid,
            process: deleted.largest.find((file) => file['pid'] === process.pid)?.['process'],
            descriptor: Math.min(first.fd, second.fd),
            descriptor_count: 2,
          },
        ],
      );
      assert.ok(deleted.allocated_bytes >= allocated);
    } finally {
      await first.close();
      await second.close();
    }
  });

  it('takes no file for deleted because of its name', async () => {
    const path = join(directory.path, 'here (deleted)');
    await writeFile(path, 'x');
    const handle = await open(path, 'r');
    try {
      const { deleted_open: deleted } = await usage({ count: 100 });
      assert.deepEqual(
        deleted.largest.filter((file) => String(file['path']).startsWith(path)),
        [],
      );
    } finally {
      await handle.close();
    }
  });

  itNamesMissingTools(TOOLS, (PATH) => errorOfAction('disk-usage', {}, { environment: { PATH } }));

  it('needs no other tool', async () => {
    const PATH = await makeToolPath(join(directory.path, 'tools'), TOOLS);
    assert.equal((await usage({ path: directory.path }, { PATH })).directories.complete, true);
  });

  it('ends with code 3 for a path that is no directory and where df lists nothing', async () => {
    assert.equal((await errorOfAction('disk-usage', { path: '/no/such/directory' })).code, 3);
    const environment = await pathWith({ df: '#!/bin/sh\nexit 1\n' });
    assert.equal((await errorOfAction('disk-usage', {}, { environment })).code, 3);
  });

  it('refuses parameters that are none, by its schema and by itself', async () => {
    const wrong = [
      { path: 'etc' },
      { path: '-rf' },
      { count: 0 },
      { depth: 9 },
      { by: 'name' },
      { count: 'a[$(id)]' },
    ];
    for (const params of wrong) {
      assert.equal(acceptsParams('disk-usage', params), false, JSON.stringify(params));
      assert.equal((await errorOfAction('disk-usage', { path: '/etc', ...params })).code, 1);
    }
  });

  it('leaves no process behind', async () => {
    const du = '#!/bin/sh\nexec sleep 61.8\n';
    await usage({ path: '/etc', seconds_max: 1 }, await pathWith({ du }));
    assert.deepEqual(findProcesses('sleep\x0061.8'), []);
  });
});
