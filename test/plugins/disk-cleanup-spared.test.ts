import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, mkdir, open, readdir, rename, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanupScene, age, exists, type Cleaned } from './cleanup-scene.js';

describe('disk-cleanup', () => {
  const scene = cleanupScene();
  const { ending, clean, rotated, sabotaged } = scene;

  describe('leaves alone', () => {
    const reasons = ({ rotated_logs: files }: Cleaned): Record<string, string | null> =>
      Object.fromEntries(files.map((file) => [file.path.slice(scene.logs.length + 1), file.reason]));

    it('links, what is below them, and what is no regular file', async () => {
      await scene.node.state({ 'outside/a.gz': 'kept' });
      await age(join(scene.state, 'outside', 'a.gz'), 30);
      await symlink('../outside', join(scene.logs, 'link'));
      await symlink('../outside/a.gz', join(scene.logs, 'b.gz'));
      execFileSync('mkfifo', [join(scene.logs, 'fifo.gz')]);
      await mkdir(join(scene.logs, 'directory.gz'));
      for (const name of ['fifo.gz', 'directory.gz']) await age(join(scene.logs, name), 30);
      const before = await scene.node.stateDigest();
      assert.deepEqual((await clean({ rotated_logs_keep_days: 10 })).rotated_logs, []);
      assert.equal(await scene.node.stateDigest(), before);
    });

    it('nothing because of brackets, blanks and signs of the shell in a name', async () => {
      const names = ['@.gz', '].gz', '[a].gz', '*.gz', '$(id).gz', '-rf.gz', ' .gz', '%b.gz'];
      await rotated(Object.fromEntries(names.map((name) => [`sub ]/${name}`, ''])));
      const cleaned = await clean({ rotated_logs_keep_days: 10 });
      assert.deepEqual([cleaned.items[0]?.files, cleaned.rotated_logs_left], [names.length, 0]);
      assert.deepEqual(await readdir(join(scene.logs, 'sub ]')), []);
    });

    it('names that could be taken for something else', async () => {
      const names = ["it's.gz", 'back\\slash.gz', 'two\nlines.gz', 'strange\ndirectory/a.gz', '"quoted".1'];
      await rotated(Object.fromEntries(names.map((name) => [name, ''])));
      assert.deepEqual((await clean({ rotated_logs_keep_days: 10 })).rotated_logs, []);
      for (const name of names) assert.ok(await exists(join(scene.logs, name)));
    });

    it('a file that a process has open, and one with several names', async () => {
      await rotated({ 'open.gz': 'x', 'two.1': 'x', 'gone.gz': 'x' });
      await link(join(scene.logs, 'two.1'), join(scene.state, 'second'));
      const handle = await open(join(scene.logs, 'open.gz'), 'r');
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
        assert.ok((await exists(join(scene.logs, 'open.gz'))) && (await exists(join(scene.logs, 'two.1'))));
      } finally {
        await handle.close();
        await root.close();
      }
    });

    it('a file of a name that more processes have open than can be looked at', async () => {
      await rotated({ 'crowd.gz': 'x', 'gone.gz': 'x' });
      await scene.node.state({ 'outside/crowd.gz': 'x' });
      const handles: FileHandle[] = [];
      try {
        for (let at = 0; at < 1001; at++)
          handles.push(await open(join(scene.state, 'outside', 'crowd.gz'), 'r'));
        const found = reasons(await clean({ rotated_logs_keep_days: 10 }));
        assert.match(String(found['crowd.gz']), /^a process may have it open/);
        assert.equal(found['gone.gz'], null);
      } finally {
        for (const handle of handles) await handle.close();
      }
    });

    it('a directory that became a link after the search', async () => {
      await rotated({ 'sub/a.gz': 'x' });
      await scene.node.state({ 'outside/a.gz': 'kept' });
      const swap = `mv ${scene.logs}/sub ${scene.logs}/moved; ln -s ${scene.state}/outside ${scene.logs}/sub`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('sort', swap) });
      assert.deepEqual(reasons(cleaned), { 'sub/a.gz': 'its directory has changed meanwhile' });
      assert.ok(
        (await exists(join(scene.state, 'outside', 'a.gz'))) &&
          (await exists(join(scene.logs, 'moved', 'a.gz'))),
      );
    });

    it('what a directory leads to that becomes a link at the last moment', async () => {
      await rotated({ 'sub/a.gz': 'x' });
      await scene.node.state({ 'outside/a.gz': 'kept' });
      const swap = `mv ${scene.logs}/sub ${scene.logs}/moved; ln -s ${scene.state}/outside ${scene.logs}/sub`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('rm', swap) });
      assert.deepEqual(reasons(cleaned), { 'sub/a.gz': null });
      assert.ok(await exists(join(scene.state, 'outside', 'a.gz')));
      assert.equal(await exists(join(scene.logs, 'moved', 'a.gz')), false);
    });

    it('a file that became another after the search', async () => {
      await rotated({ 'a.gz': 'x', 'b.gz': 'x', 'c.gz': 'x' });
      const swap = `cd ${scene.logs}; echo new >d; mv d a.gz; rm b.gz; touch c.gz`;
      const cleaned = await clean({ rotated_logs_keep_days: 10 }, { path: await sabotaged('sort', swap) });
      assert.deepEqual(reasons(cleaned), {
        'a.gz': 'it has changed meanwhile',
        'b.gz': 'it has gone meanwhile',
        'c.gz': 'it has changed meanwhile',
      });
      assert.ok((await exists(join(scene.logs, 'a.gz'))) && (await exists(join(scene.logs, 'c.gz'))));
    });

    it('everything below a configured directory that is a link', async () => {
      await rotated({ 'a.gz': 'x' });
      await rename(scene.logs, `${scene.logs}-real`);
      await symlink(`${scene.logs}-real`, scene.logs);
      const { error } = await ending({ rotated_logs_keep_days: 10 });
      assert.equal(error?.code, 3);
      assert.match(error.message, /logs is a link or cannot be entered/);
      assert.ok(await exists(join(`${scene.logs}-real`, 'a.gz')));
    });
  });
});
