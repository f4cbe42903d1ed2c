import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, symlink, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { skipUnlessRoot } from '../support/skip.js';
import { configurationOf, runShippedAction } from './shipped-action.js';
import { gatherScene } from './gather-scene.js';

describe('gather-logs', () => {
  const scene = gatherScene();
  const { ending, gather, refusal } = scene;

  describe('the allow-list', () => {
    beforeEach(() =>
      scene.directory.write({ 'srv/one/log/x.log': 'x\n', 'srv/one/data/x': 'x\n', 'srv/one/old.1': 'x\n' }),
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
        await scene.directory.write({ good: '' });
        const one = join(scene.directory.path, 'srv', 'one');
        const paths = ['../../good', 'data/x', 'log/x.log', 'old.1'].map((name) => join(one, name));
        const allowed = [pattern, 'good'].map((entry) => join(scene.directory.path, entry));
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
          configuration: { paths: [scene.logs] },
          unchecked: true,
        });
        assert.deepEqual([error?.code, error?.details['path']], [1, bad]);
      });
    }

    it('a pattern in the directory of a path', async () => {
      const { error } = await ending({ paths: [`${scene.directory.path}/*/a.log`] });
      assert.match(error?.message ?? '', /Only the last part/);
    });

    it('a file outside of the allow-list', async () => {
      assert.match(String(await refusal('/etc/passwd')), /outside of the allow-list/);
    });

    it('names of a directory outside of the allow-list, also through a link to it', async () => {
      await scene.directory.write({ 'private/secret.log': 'secret' });
      await symlink('../private', join(scene.logs, 'link'));
      for (const place of ['private', 'logs/link']) {
        const error = await refusal(join(scene.directory.path, place, '*.log'));
        assert.equal(error, 'no file in the allow-list matches');
      }
    });

    it('a link that leads out, and one to nothing', async () => {
      await symlink('/etc/passwd', join(scene.logs, 'out'));
      await symlink('nothing', join(scene.logs, 'dangling'));
      assert.match(String(await refusal(join(scene.logs, 'out'))), /leads out of the allow-list/);
      assert.match(String(await refusal(join(scene.logs, 'dangling'))), /link to nothing/);
    });

    it('a file below a link that leads out', async () => {
      await scene.directory.write({ 'private/a.log': 'secret' });
      await symlink('../private', join(scene.logs, 'link'));
      assert.match(String(await refusal(join(scene.logs, 'link', 'a.log'))), /leads out of the allow-list/);
    });

    it('a file that becomes a link while it is looked at', async () => {
      await scene.directory.write({ 'logs/a.log': 'a\n', secret: 'secret' });
      // It comes last before the file is looked at and opened.
      const timeout = `#!/bin/sh\nln -sf ${scene.directory.path}/secret ${scene.logs}/a.log\nexec /usr/bin/timeout "$@"\n`;
      await scene.directory.write({ 'bin/timeout': timeout });
      await chmod(join(scene.directory.path, 'bin', 'timeout'), 0o755);
      const path = `${scene.directory.path}/bin:${process.env['PATH'] ?? ''}`;
      const { error } = await ending({ paths: [join(scene.logs, 'a.log')] }, { path });
      assert.match(error?.message ?? '', /leads out of the allow-list/);
    });

    it('a file with more than one name', async () => {
      await scene.directory.write({ secret: 'secret' });
      await link(join(scene.directory.path, 'secret'), join(scene.logs, 'hard'));
      assert.match(String(await refusal(join(scene.logs, 'hard'))), /it has 2 names/);
    });

    for (const tool of ['stat', 'readlink']) {
      it(`a file with more than one name whose name here goes before ${tool} is asked`, async () => {
        await scene.directory.write({ secret: 'secret' });
        await link(join(scene.directory.path, 'secret'), join(scene.logs, 'hard'));
        const sabotage = `#!/bin/sh\nrm -f ${scene.logs}/hard\nexec /usr/bin/${tool} "$@"\n`;
        await scene.directory.write({ [`bin/${tool}`]: sabotage });
        await chmod(join(scene.directory.path, 'bin', tool), 0o755);
        const path = `${scene.directory.path}/bin:${process.env['PATH'] ?? ''}`;
        const { error } = await ending({ paths: [join(scene.logs, 'hard')] }, { path });
        assert.match(error?.message ?? '', /it was removed while it was opened/);
      });
    }

    it('a FIFO, a socket, a device and a directory, without opening them', async () => {
      const fifo = join(scene.logs, 'fifo');
      execFileSync('mkfifo', [fifo]);
      const server = createServer().listen(join(scene.logs, 'socket'));
      await new Promise((resolve) => server.once('listening', resolve));
      await symlink('/dev/zero', join(scene.logs, 'zero'));
      await mkdir(join(scene.logs, 'directory'));
      try {
        for (const name of ['fifo', 'socket', 'zero', 'directory']) {
          assert.equal(await refusal(join(scene.logs, name)), 'it is not a regular file');
        }
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    });

    it('a sparse giant', async () => {
      await scene.directory.write({ 'logs/giant': 'text\n' });
      await truncate(join(scene.logs, 'giant'), 2 ** 40);
      assert.match(
        String(await refusal(join(scene.logs, 'giant'))),
        /^it is sparse: 1099511627776 bytes long/,
      );
    });

    it('what this user may not read, beside what they may', async function () {
      skipUnlessRoot(this);
      await scene.directory.write({ 'logs/a.log': 'a\n', 'logs/locked/b.log': 'b\n' });
      await chmod(scene.directory.path, 0o755);
      await chmod(join(scene.logs, 'a.log'), 0o600);
      await chmod(join(scene.logs, 'locked'), 0o700);
      assert.equal(await refusal(join(scene.logs, 'a.log'), { uid: 65_534 }), 'this user may not read it');
      assert.match(
        String(await refusal(join(scene.logs, 'locked', 'b.log'), { uid: 65_534 })),
        /may not enter/,
      );
    });
  });
});
