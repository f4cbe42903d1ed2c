import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LMM_SETTINGS } from '../../services/lmm/config.js';
import { LOM_SETTINGS } from '../../services/lom/config.js';
import { settingsTable } from '../../services/shared/settings/config.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** A table without its padding, so that the page may be formatted. */
const unpadded = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.replace(/ *\| */g, '|').replace(/-{3,}/g, '---'));

describe('docs/configuration.md', () => {
  const page = unpadded(readFileSync(join(packageRoot, 'docs', 'configuration.md'), 'utf8'));

  for (const [name, table] of [
    ['rune-lom', settingsTable(LOM_SETTINGS, 'LOM')],
    ['rune-lmm', settingsTable(LMM_SETTINGS, 'LMM')],
  ] as const) {
    it(`shows every setting of ${name} as the program knows it`, () => {
      const rows = unpadded(table);
      const at = page.indexOf(rows[2] ?? '');
      const shown = page.slice(at - 2, at - 2 + rows.length);
      assert.deepEqual(shown, rows, `The table should be:\n${table}`);
    });
  }
});
