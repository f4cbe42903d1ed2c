import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const execute = promisify(execFile);
/** Tenths, as systemd-analyze counts: what is left is network, JIT and the host's file system. */
const EXPOSURE_MAX = '20';

for (const name of ['rune-lom', 'rune-lmm']) {
  describe(`deploy/systemd/${name}.service`, () => {
    let directory: TempDirectory;
    let unit: string;
    let file: string;
    before(async () => {
      directory = await makeTempDirectory();
      unit = await readFile(join(packageRoot, 'deploy/systemd', `${name}.service`), 'utf8');
      // The program is looked for, and is not installed here.
      await directory.write({
        [`${name}.service`]: unit.replace(`/usr/local/bin/${name}`, process.execPath),
      });
      file = join(directory.path, `${name}.service`);
    });
    after(() => directory.remove());

    it('is a unit without faults', async () => {
      const { stdout, stderr } = await execute('systemd-analyze', ['verify', '--man=no', file]);
      assert.equal(`${stdout}${stderr}`, '');
    });

    it('leaves the service little to do harm with', async () => {
      await execute('systemd-analyze', ['security', '--offline=yes', `--threshold=${EXPOSURE_MAX}`, file]);
    });

    it('runs a user of its own, who is made by rune.sysusers.conf', async () => {
      assert.match(unit, new RegExp(`^User=${name}$`, 'm'));
      const users = await readFile(join(packageRoot, 'deploy/systemd/rune.sysusers.conf'), 'utf8');
      assert.match(users, new RegExp(`^u ${name} `, 'm'));
    });
  });
}
