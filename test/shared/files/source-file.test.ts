import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readSourceFile } from '../../../services/shared/files/source-file.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

describe('source file', () => {
  let directory: TempDirectory;
  let within: string;
  const read = async (name: string, bytesMax = 100): Promise<string> => {
    const reading = await readSourceFile(join(within, name), { bytesMax, within });
    return 'bytes' in reading ? reading.bytes.toString() : `refused: ${reading.refusal}`;
  };

  before(async () => {
    directory = await makeTempDirectory();
    within = join(directory.path, 'bundle');
    await directory.write({
      'bundle/a.txt': 'hello',
      'bundle/empty.txt': '',
      'bundle/sub/b.txt': 'below',
      'outside.txt': 'secret',
      'bundle-2/c.txt': 'secret',
    });
  });
  after(() => directory.remove());

  it('is read whole', async () => assert.equal(await read('a.txt'), 'hello'));
  it('may be empty', async () => assert.equal(await read('empty.txt'), ''));
  it('may be exactly as large as its limit', async () => assert.equal(await read('a.txt', 5), 'hello'));
  it('may not be larger', async () =>
    assert.equal(await read('a.txt', 4), 'refused: is larger than 4 bytes'));
  it('must exist', async () => assert.equal(await read('b.txt'), 'refused: does not exist'));
  it('must not be a directory', async () =>
    assert.equal(await read('sub'), 'refused: is not a regular file'));
  it('must not lie below a file', async () => assert.equal(await read('a.txt/b'), 'refused: does not exist'));

  it('may be a link inside its directory', async () => {
    await symlink('sub/b.txt', join(within, 'inner'));
    assert.equal(await read('inner'), 'below');
  });

  const escapes: [title: string, target: string][] = [
    ['an absolute link', '/etc/passwd'],
    ['a relative link', '../outside.txt'],
    ['a link to a directory whose name begins alike', '../bundle-2/c.txt'],
  ];
  for (const [index, [title, target]] of escapes.entries()) {
    it(`must not be ${title} out of it`, async () => {
      await symlink(target, join(within, `escape${index}`));
      assert.equal(await read(`escape${index}`), 'refused: leads out of its bundle');
    });
  }

  it('must not be reached through a linked directory out of it', async () => {
    await symlink('../bundle-2', join(within, 'linked'));
    assert.equal(await read('linked/c.txt'), 'refused: leads out of its bundle');
  });

  it('must not be reached by ".."', async () => {
    assert.equal(await read('../outside.txt'), 'refused: leads out of its bundle');
  });

  it('must not be a link to itself', async () => {
    await symlink('loop', join(within, 'loop'));
    assert.equal(await read('loop'), 'refused: cannot be read (ELOOP)');
  });

  it('must not be a pipe, and nothing waits for one', async () => {
    execFileSync('mkfifo', [join(within, 'pipe')]);
    assert.equal(await read('pipe'), 'refused: is not a regular file');
  });

  it('must not be a device', async () => {
    const reading = await readSourceFile('/dev/zero', { bytesMax: 10 });
    assert.deepEqual(reading, { refusal: 'is not a regular file' });
  });

  it('may lie in a directory that is itself a link', async () => {
    const linked = join(directory.path, 'other-way');
    await symlink(within, linked);
    const reading = await readSourceFile(join(linked, 'a.txt'), { bytesMax: 10, within: linked });
    assert('bytes' in reading);
  });
});
