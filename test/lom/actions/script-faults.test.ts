import assert from 'node:assert/strict';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleDirectory } from './bundle-directory.js';
import { MANIFEST, bundle, prefixed } from './say-bundle.js';

describe('load bundles', () => {
  const { directory, faults } = bundleDirectory();

  describe('refuses a script', () => {
    const bash =
      'must begin with #!/bin/bash or #!/usr/bin/env bash: the delivery "stream" is for Bash, "directory" for anything else';
    const cases: [title: string, script: string | Buffer, delivery: string, why: string | undefined][] = [
      ['that is not Bash, for stream', '#!/usr/bin/python3\n', 'stream', bash],
      ['for plain sh, for stream', '#!/bin/sh\n', 'stream', bash],
      ['without a first line, for stream', 'echo\n', 'stream', bash],
      ['that is empty', '', 'stream', bash],
      ['with a NUL byte', '#!/bin/bash\necho \0\n', 'stream', 'holds a NUL byte'],
      ['that is not UTF-8', Buffer.from('#!/bin/bash\n# \xe4\n', 'latin1'), 'stream', 'is not UTF-8'],
      ['with Windows line ends', '#!/bin/bash\r\necho\r\n', 'stream', 'has Windows line ends'],
      [
        'of more than 1 MiB',
        `#!/bin/bash\n#${'x'.repeat(1_048_576)}`,
        'stream',
        'is larger than 1048576 bytes',
      ],
      [
        'without an interpreter, for directory',
        'print()\n',
        'directory',
        'must begin with "#!" and the absolute path of its interpreter',
      ],
      [
        'with an interpreter of no fixed place',
        '#!python3\n',
        'directory',
        'must begin with "#!" and the absolute path of its interpreter',
      ],
      [
        'with a syntax error',
        '#!/bin/bash\nif true; then\n  echo yes\nesac\n',
        'stream',
        "has a syntax error in line 4: syntax error near unexpected token `esac'",
      ],
      ['and accepts extended patterns', '#!/bin/bash\nshopt -s extglob\nls @(a|b)\n', 'stream', undefined],
      ['and runs nothing of it', '#!/bin/bash\nexit 7\n', 'stream', undefined],
      ['and accepts Bash by its path', '#!/bin/bash -p\n', 'stream', undefined],
      ['and accepts Bash by env', '#! /usr/bin/env bash', 'stream', undefined],
      ['and accepts another language, for directory', '#!/usr/bin/env python3\n', 'directory', undefined],
    ];
    for (const [title, script, delivery, why] of cases) {
      it(title, async () => {
        await directory.write(
          bundle({ 'say/plugin.sh': script, 'say/manifest.yaml': { ...MANIFEST, delivery } }),
        );
        const expected =
          why === undefined ? [] : [`say/manifest.yaml:4 FILE entrypoint names say/plugin.sh, which ${why}`];
        assert.deepEqual(await faults(), expected);
      });
    }

    it('that is a link out of the bundle', async () => {
      await directory.write(bundle({ 'say/plugin.sh': undefined }));
      await symlink('/etc/passwd', join(directory.path, 'say/plugin.sh'));
      assert.deepEqual(await faults(), [
        'say/manifest.yaml:4 FILE entrypoint names say/plugin.sh, which leads out of its bundle',
      ]);
    });

    it('with helper files that cannot lie in one folder', async () => {
      const manifest = { ...MANIFEST, files: ['common/a', '/common', 'plugin/b'] };
      const helpers = { 'say/common/a': 'a\n', common: 'b\n', 'say/plugin/b': 'c\n' };
      await directory.write(bundle({ ...helpers, 'say/manifest.yaml': manifest }));
      assert.deepEqual(
        (await faults()).map((fault) => fault.match(/FILE files\[\d\]|lie beside the plugin as [\w/]+/g)),
        [
          ['FILE files[1]', 'lie beside the plugin as common'],
          ['FILE files[2]', 'lie beside the plugin as plugin/b'],
        ],
      );
    });

    it('that is too large together with library and helper files', async () => {
      const manifest = { ...MANIFEST, delivery: 'directory', files: ['a', 'b'] };
      const large = `#!/bin/sh\n${'#'.repeat(1_000_000)}\n`;
      await directory.write(
        bundle({ 'say/plugin.sh': large, 'say/a': large, 'say/b': large, 'say/manifest.yaml': manifest }),
      );
      const [fault = ''] = await faults();
      assert.match(fault, /SIZE files names too much: .* together are larger than 2621440 bytes$/);
    });

    it('whose directory is a link out of the bundle', async () => {
      await directory.write({ ...prefixed('a', bundle()), ...prefixed('b', bundle()) });
      await rm(join(directory.path, 'a/say'), { recursive: true });
      await symlink('../b/say', join(directory.path, 'a/say'));
      assert.deepEqual(await faults('a'), [
        'a/bundle.yaml:7 FILE actions[0] names say/manifest.yaml, which leads out of its bundle',
      ]);
    });
  });
});
