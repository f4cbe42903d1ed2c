import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/package-root.js';

const run = promisify(execFile);

interface PackageJson {
  readonly version: string;
  readonly bin: { readonly rune: string };
}

// The other tests run the compiled modules; what is installed is one file made of them.
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
});
