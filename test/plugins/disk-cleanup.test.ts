import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScriptedNode } from '../support/scripted-node.js';
import { skipUnlessRoot } from '../support/skip.js';
import { cleanupScene, NOBODY, age, exists } from './cleanup-scene.js';

describe('disk-cleanup', () => {
  const scene = cleanupScene();
  const { clean, rotated, archived, allocated } = scene;

  it('removes rotated logs that match and are old enough, and says what they took', async () => {
    const bytes = await rotated({
      'a.log.1': 'x'.repeat(9000),
      'sub dir/deep/b.log.2.gz': Buffer.alloc(70_000, 1),
      'sub dir/ü.gz': 'x',
    });
    await rotated({ 'a.log': 'kept', 'new.gz': 'kept', 'sub dir/c.10': 'kept', 'd.gz.txt': 'kept' });
    await age(join(scene.logs, 'new.gz'), 9);
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
      cleaned.rotated_logs.map((file) => [file.path.slice(scene.logs.length + 1), file.state, file.reason]),
      [
        ['sub dir/deep/b.log.2.gz', 'removed', null],
        ['a.log.1', 'removed', null],
        ['sub dir/ü.gz', 'removed', null],
      ],
    );
    const left = (await readdir(scene.logs, { recursive: true })).toSorted();
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
    assert.deepEqual(await scene.node.calls(), []);
  });

  it('cleans the journal and the package cache with their own programs', async () => {
    const old = await archived(20, 40_000);
    await archived(1, 8000);
    await scene.node.state({ vacuum: `${old}\n`, 'packages/a.deb': 'x'.repeat(5000), 'packages/lock': '' });
    const params = { journal_keep_mib: 500, journal_keep_days: 14, package_caches: true };
    const packages = await allocated('packages/a.deb');
    const journals = await allocated(old);
    const cleaned = await clean(params);
    const bin = join(scene.node.path, 'bin');
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
    assert.deepEqual(await scene.node.calls(), [
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
      const bin = join(scene.node.path, 'bin');
      await scene.node.state({
        'packages/a.deb': 'x'.repeat(5000),
        sudoers: `${bin}/apt-get clean\n${bin}/journalctl --vacuum-time=14d\n`,
      });
      const packages = await allocated('packages/a.deb');
      const journals = await allocated(old);
      const before = await scene.node.stateDigest();
      const cleaned = await clean(
        { journal_keep_days: 14, package_caches: true, rotated_logs_keep_days: 10 },
        { dryRun: true, ...(uid === undefined ? {} : { uid }) },
      );
      assert.equal(await scene.node.stateDigest(), before);
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
      for (const call of await scene.node.calls()) assert.deepEqual(call.slice(0, 3), ['sudo', '-n', '-l']);
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
    await scene.node.state({ 'journal-files/m/system.journal': 'x'.repeat(9000) });
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
    execFileSync('touch', ['-d', '@-5', join(scene.logs, 'a.gz')]);
    const [log] = (await clean({ rotated_logs_keep_days: 10 })).rotated_logs;
    assert.deepEqual([log?.state, log?.modified], ['removed', null]);
  });

  it('removes the largest first where there are too many, and counts the rest', async () => {
    await rotated({ 'a.gz': 'x', 'b.gz': 'x'.repeat(9000), 'c.gz': 'x'.repeat(90_000) });
    const cleaned = await clean({ rotated_logs_keep_days: 10, files_max: 2 });
    assert.equal(cleaned.rotated_logs_beyond_limit, 1);
    assert.deepEqual(
      [await exists(join(scene.logs, 'a.gz')), await exists(join(scene.logs, 'c.gz'))],
      [true, false],
    );
  });

  it('lists 200 files and counts the others', async () => {
    await rotated(Object.fromEntries(Array.from({ length: 205 }, (_, at) => [`${at}.gz`, ''])));
    const cleaned = await clean({ rotated_logs_keep_days: 10 }, { dryRun: true });
    assert.deepEqual([cleaned.rotated_logs.length, cleaned.rotated_logs_not_listed], [200, 5]);
    assert.equal(cleaned.items[0]?.files, 205);
  });

  it('runs by sudo what sudo allows', async function () {
    skipUnlessRoot(this);
    const bin = join(scene.node.path, 'bin');
    await scene.node.state({ sudoers: `${bin}/apt-get clean\n`, 'packages/a.deb': 'x' });
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
    assert.deepEqual(await scene.node.calls(), [
      ['sudo', '-n', '-l', '--', `${bin}/apt-get`, 'clean'],
      ['sudo', '-n', '--', `${bin}/apt-get`, 'clean'],
      ['apt-get', 'clean'],
    ]);
  });

  it('cleans the packages of dnf', async () => {
    const other = await makeScriptedNode(['dnf']);
    try {
      await scene.node.state({ 'packages/a.deb': 'x', 'packages/b.rpm': 'x' });
      const tools = join(scene.node.path, 'cleanup-tools');
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
});
