import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS } from '../../services/shared/errors.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

const page = readFileSync(join(packageRoot, 'docs/operations.md'), 'utf8');

function section(title: string): string {
  const [, after = ''] = page.split(`\n## ${title}\n`);
  return after.split('\n## ')[0] ?? '';
}

describe('docs/operations.md', () => {
  it('says what to do for every error of severity high or critical', () => {
    const rows = section('Serious errors');
    const serious = Object.entries(ERRORS).filter(([, { severity }]) => /^(HIGH|CRITICAL)$/.test(severity));
    assert.ok(serious.length > 10);
    for (const [name] of serious) {
      const [, first = '', then = ''] =
        new RegExp(`^\\| \`${name}\` +\\|([^|]+)\\|([^|]+)\\|$`, 'm').exec(rows) ?? [];
      assert.ok(first.trim() !== '' && then.trim() !== '', `${name} has no row, or an empty one`);
    }
  });

  it('names messages that the services log', () => {
    const sources = readdirSync(join(packageRoot, 'services'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('/gen/'))
      .map((name) => readFileSync(join(packageRoot, 'services', name), 'utf8'))
      .join('\n');
    const messages = [...section('What they say').matchAll(/^\| (?:both|LOM|LMM) +\| ([^|]+)\|/gm)].flatMap(
      ([, cell = '']) => [...cell.matchAll(/`([^`]+)`/g)].map(([, message = '']) => message),
    );
    assert.ok(messages.length >= 10);
    // The name of the transport comes first in the counts of a pool.
    for (const message of messages.map((text) => text.replace(/^ssh connections$/, '} connections')))
      assert.ok(sources.includes(message), message);
  });
});
