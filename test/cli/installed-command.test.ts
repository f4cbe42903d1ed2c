import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const run = promisify(execFile);

interface PackageJson {
  readonly version: string;
  readonly bin: { readonly rune: string };
}

// What is installed is one file made of the compiled modules, and code compiled ahead beside it.
describe('the installed command', () => {
  let manifest: PackageJson;
  before(async () => {
    manifest = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as PackageJson;
  });
  const rune = (...args: string[]): Promise<{ stdout: string }> =>
    run(process.execPath, [join(packageRoot, manifest.bin.rune), ...args]);

  it('says its version', async () => {
    assert.equal((await rune('--version')).stdout, `rune ${manifest.version}\n`);
  });

  it('runs an action with services of its own, which are separate programs', async () => {
    const { stdout } = await rune('run', 'noop', '--node', 'localhost', '--standalone', '--output', 'json');
    assert.match(stdout, /"EXECUTION_STATE_SUCCEEDED"/);
  });

  describe('beside the code that was compiled ahead', () => {
    const CODE = 'program.cjs.code';
    let folder: TempDirectory;
    const installed = (name: string): Promise<Buffer> => readFile(join(packageRoot, 'dist/bin', name));
    const version = async (file: string): Promise<string> =>
      (await run(process.execPath, [join(folder.path, file), '--version'])).stdout;

    before(async () => {
      folder = await makeTempDirectory();
      await folder.write({
        'package.json': JSON.stringify({ version: '1.2.3' }),
        'rune.cjs': await installed('rune.cjs'),
        'program.cjs': await installed('program.cjs'),
      });
    });
    after(() => folder.remove());

    it('starts through the link that npm makes', async () => {
      await symlink(join(packageRoot, manifest.bin.rune), join(folder.path, 'rune'));
      assert.equal(await version('rune'), `rune ${manifest.version}\n`);
    });

    it('starts without it', async () => {
      assert.equal(await version('rune.cjs'), 'rune 1.2.3\n');
    });

    it('passes over one that is damaged or of another engine', async () => {
      const code = await installed(CODE);
      code.fill(0, 0, 64);
      for (const wrong of [code, '']) {
        await folder.write({ [CODE]: wrong });
        assert.equal(await version('rune.cjs'), 'rune 1.2.3\n');
      }
    });
  });
});
