import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../../services/shared/package-root.js';
import { packageVersion } from '../../../services/shared/package-version.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const BIN = join(packageRoot, 'dist/bin');
const FILES = ['rune.cjs', 'program.cjs', 'program.cjs.code'] as const;

const say = (file: string) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file, '--version'], { encoding: 'utf8' });
  return { status, stdout, stderr };
};
const SAID = { status: 0, stdout: `rune ${packageVersion()}\n`, stderr: '' };

describe('the installed command', () => {
  let folder: TempDirectory;
  const files = Object.fromEntries(FILES.map((name) => [name, readFileSync(join(BIN, name))]));

  before(async () => {
    folder = await makeTempDirectory();
    await folder.write({ 'package.json': readFileSync(join(packageRoot, 'package.json')) });
  });

  after(() => folder.remove());

  it('starts through the link that npm makes', async () => {
    await symlink(join(BIN, 'rune.cjs'), join(folder.path, 'rune'));
    assert.deepEqual(say(join(folder.path, 'rune')), SAID);
  });

  it('starts without the code that was compiled ahead', async () => {
    const { 'program.cjs.code': _, ...rest } = files;
    await folder.write(rest);
    assert.deepEqual(say(join(folder.path, 'rune.cjs')), SAID);
  });

  it('passes over code that is damaged or of another engine', async () => {
    const code = Buffer.from(files['program.cjs.code'] ?? '');
    code.fill(0, 0, 64);
    await folder.write({ ...files, 'program.cjs.code': code });
    assert.deepEqual(say(join(folder.path, 'rune.cjs')), SAID);
    await folder.write({ 'program.cjs.code': '' });
    assert.deepEqual(say(join(folder.path, 'rune.cjs')), SAID);
  });
});
