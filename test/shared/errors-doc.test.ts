import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS, EXIT_CODE, GRPC_STATUS } from '../../services/shared/errors.js';
import { ErrorFacts } from '../../services/shared/gen/rune/v1/eps.js';
import { RunRequest, Targets } from '../../services/shared/gen/rune/v1/lom.js';
import { Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** The table as docs/errors.md has to show it. */
function expectedTable(): string {
  const rows = Object.entries(ERRORS).map(([name, row]) => {
    const exit = `${EXIT_CODE[row.exit]} ${row.exit}`;
    const cells = [
      `\`${name}\``,
      String(row.code),
      row.grpc,
      exit,
      row.retryable ? 'yes' : 'no',
      row.severity.toLowerCase(),
      row.recovery.join(' ').replaceAll('|', '\\|'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = '| name | code | gRPC status | exit code | retry | severity | what to do |';
  return [head, '|---|---|---|---|---|---|---|', ...rows].join('\n');
}

const unpadded = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.replace(/ *(?<!\\)\| */g, '|').replace(/-{3,}/g, '---'));

describe('docs/errors.md', () => {
  it('shows the table of errors as the program knows it', () => {
    const page = readFileSync(join(packageRoot, 'docs/errors.md'), 'utf8');
    const table = expectedTable();
    assert.deepEqual(unpadded(page), unpadded(table), `The table should be:\n${table}`);
  });

  it('no advice sends a person to a field that only programs see', () => {
    const keys = [ErrorFacts, Outcome, RunRequest, Targets].flatMap((message) =>
      Object.keys(message.create()),
    );
    const fields = keys
      .map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))
      // A plugin answers "dry_run" too.
      .filter((field) => field.includes('_') && field !== 'dry_run');
    assert.ok(fields.includes('validation_errors') && fields.includes('allow_empty'));
    for (const [name, { recovery }] of Object.entries(ERRORS)) {
      for (const field of fields) assert.ok(!recovery.join(' ').includes(field), `${name}: ${field}`);
    }
  });

  it('no two errors share a code, and every status and exit code exists', () => {
    // MRS has a meaning of its own for this number.
    const { MODULE_NAME_TAKEN, ...others } = ERRORS;
    const rows = Object.values(others);
    assert.equal(MODULE_NAME_TAKEN.code, ERRORS.CHECKSUM_MISMATCH.code);
    assert.equal(new Set(rows.map(({ code }) => code)).size, rows.length);
    for (const { grpc, exit } of rows) {
      assert.ok(grpc in GRPC_STATUS);
      assert.ok(exit in EXIT_CODE);
    }
  });
});
