import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { findSsh } from '../../../services/lmm/transports/openssh/ssh-program.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

describe('the ssh of the system', () => {
  let directory: TempDirectory;
  before(async () => {
    directory = await makeTempDirectory();
  });
  after(() => directory.remove());

  /** A program that says it is of this version. */
  const fake = async (said: string): Promise<string> => {
    await directory.write({ ssh: `#!/bin/sh\necho "${said}" >&2\n` });
    const path = join(directory.path, 'ssh');
    await chmod(path, 0o755);
    return path;
  };

  it('is found by its name, with its version', async () => {
    const found = await findSsh('ssh', { PATH: process.env['PATH'] });
    assert('program' in found);
    assert.match(found.program.version, /^OpenSSH_\d+\.\d+/);
  });

  for (const [said, version, checksPins] of [
    ['OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1', 'OpenSSH_10.0p2', true],
    ['OpenSSH_8.5p1, OpenSSL 1.1.1', 'OpenSSH_8.5p1', true],
    ['OpenSSH_8.4p1 Debian-5, OpenSSL 1.1.1', 'OpenSSH_8.4p1', false],
    ['OpenSSH_7.6p1 Ubuntu-4, OpenSSL 1.0.2n', 'OpenSSH_7.6p1', false],
  ] as const) {
    it(`${checksPins ? 'can' : 'cannot'} check pins as ${version}`, async () => {
      const path = await fake(said);
      assert.deepEqual(await findSsh(path, {}), { program: { path, version, checksPins } });
    });
  }

  it('is not used if it is too old, another one, or missing', async () => {
    const reasonOf = async (path: string): Promise<string> => {
      const found = await findSsh(path, {});
      return 'reason' in found ? found.reason : 'none';
    };
    assert.match(
      await reasonOf(await fake('OpenSSH_7.4p1, OpenSSL 1.0.2k')),
      /is OpenSSH_7\.4p1, and at least 7\.6 is needed/,
    );
    assert.match(await reasonOf(await fake('Dropbear v2022.83')), /is not the ssh of OpenSSH/);
    assert.match(await reasonOf('/none/ssh'), /cannot be started \(ENOENT\)/);
  });
});
