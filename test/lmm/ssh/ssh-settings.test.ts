import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_SSH_SETTINGS } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import { packageRoot } from '../../../services/shared/package-root.js';

describe('docs/ssh.md', () => {
  it('lists every limit of the SSH transport with its default', async () => {
    const text = await readFile(join(packageRoot, 'docs/ssh.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `(\w+)` +\| ([\d,]+) +\|/gm)];
    const listed = Object.fromEntries(
      rows.map(([, name, value]) => [name, Number(value?.replaceAll(',', ''))]),
    );
    assert.deepEqual(listed, { ...DEFAULT_SSH_SETTINGS });
  });
});
