import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { skipUnlessRoot } from '../support/skip.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, runShippedAction } from './shipped-action.js';
import { cleanupScene, CLEANUP_TOOLS, NOBODY, itemsOf, exists } from './cleanup-scene.js';

describe('disk-cleanup', () => {
  const scene = cleanupScene();
  const { ending, clean, rotated } = scene;

  describe('where something fails', () => {
    it('says so of that item and does the others', async () => {
      await scene.node.state({
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
      await scene.node.state({ 'apt-get-fails': 'E: Could not get lock\n', 'vacuum-fails': 'No\n' });
      const { error } = await ending({ package_caches: true, journal_keep_days: 1 });
      assert.deepEqual(
        [error?.code, error?.message, itemsOf(error).length],
        [3, 'Nothing could be cleaned. apt-get: it ended with status 100: E: Could not get lock', 2],
      );
    });

    it('says of each item what the node has not', async () => {
      const { error } = await ending(
        { package_caches: true, journal_keep_days: 1 },
        { path: join(scene.node.path, 'cleanup-tools') },
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
          error.message.endsWith(
            ` ALL=(root) NOPASSWD: ${scene.node.path}/bin/journalctl --vacuum-size\\=500M`,
          ),
          error.message,
        );
        assert.deepEqual(
          (await scene.node.calls()).map(([command, , flag]) => [command, flag]),
          [['sudo', '-l']],
        );
      });
    }

    it('says of files that this user may not remove them, also in a dry run', async function () {
      skipUnlessRoot(this);
      const bytes = await rotated({ 'locked/a.gz': 'x', 'b.gz': 'x' });
      await chmod(join(scene.logs, 'locked'), 0o755);
      await chmod(scene.logs, 0o777);
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
        [await exists(join(scene.logs, 'locked', 'a.gz')), await exists(join(scene.logs, 'b.gz'))],
        [true, false],
      );
    });
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

  itNamesMissingTools(
    CLEANUP_TOOLS,
    async (path) => (await ending({ package_caches: true }, { path })).error,
  );
});
