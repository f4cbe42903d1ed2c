import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** Imports that must never be: the linter's rules are tested with them, because a rule that matches nothing says nothing. */
const FORBIDDEN: Readonly<Record<string, string>> = {
  'services/shared/a.ts': '../lom/plan/plan.js',
  'services/shared/b.ts': '../cli/client.js',
  'services/shared/c.ts': 'winston',
  'services/shared/d.ts': '@grpc/grpc-js',
  'services/shared/rpc/e.ts': '../../lmm/mediate.js',
  'services/cli/a.ts': '../lom/plan/plan.js',
  'services/cli/run/b.ts': '../../lmm/mediate.js',
  'services/cli/c.ts': '@grpc/grpc-js',
  'services/lom/a.ts': '../lmm/mediate.js',
  'services/lom/store/b.ts': '../../cli/client.js',
  'services/lom/c.ts': 'ssh2',
  'services/lom/d.ts': 'winston',
  'services/lom/e.ts': '@grpc/grpc-js',
  'services/lom/f.ts': 'pg',
  'services/lom/orchestrate-store.ts': 'kysely',
  'services/lmm/e.ts': '@photostructure/sqlite',
  'services/lom/store/g.ts': 'winston',
  'services/lom/store/h.ts': '../modules/lifecycle.js',
  'services/lom/store/i.ts': '../plan/plan.js',
  'services/lom/execution/perform-run.ts': 'node:fs',
  'services/lmm/a.ts': '../lom/plan/plan.js',
  'services/lmm/b.ts': 'ssh2',
  'services/lmm/c.ts': 'ajv/dist/2020.js',
  'services/lmm/transports/d.ts': '../../cli/client.js',
  'services/lmm/transports/ssh/e.ts': '../../../lom/plan/plan.js',
  'services/lmm/transports/ssh/f.ts': '@grpc/grpc-js',
  'services/lom/orchestrate.ts': 'node:fs',
  'services/lom/execution/execution.ts': '@grpc/grpc-js',
  'services/lmm/mediate.ts': './transports/ssh/pool.js',
  'services/lmm/plugin-protocols/bolt.ts': 'node:fs/promises',
  'services/lmm/plugin-protocols/raw.ts': '../transports/ssh/pool.js',
  'services/lom/plan/arguments.ts': 'node:fs',
  'services/lmm/runs/live-run.ts': 'ssh2',
};

const ALLOWED: Readonly<Record<string, string>> = {
  'services/lmm/transports/ssh/connection.ts': 'ssh2',
  'services/lom/store/postgres-pool.ts': 'pg',
  'services/lom/store/tables.ts': 'kysely',
  'services/shared/logging/logger.ts': 'winston',
  'services/shared/rpc/rpc-server.ts': '@grpc/grpc-js',
  'services/lmm/good.ts': '../shared/errors.js',
  'services/lom/good.ts': '../shared/gen/rune/v1/lom.js',
  'services/cli/good.ts': '../shared/rpc-client.js',
};

describe('the directions of imports', () => {
  let directory: string;
  let reported: Set<string>;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'rune-lint-'));
    cpSync(join(packageRoot, '.oxlintrc.json'), join(directory, '.oxlintrc.json'));
    for (const [path, module] of Object.entries({ ...FORBIDDEN, ...ALLOWED })) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `import { x } from '${module}';\nexport const y = x;\n`);
    }
    const oxlint = join(packageRoot, 'node_modules', '.bin', 'oxlint');
    const { stdout } = spawnSync(oxlint, ['--format', 'json'], { cwd: directory, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
    reported = new Set(
      diagnostics
        .filter(({ code }) => code.includes('no-restricted-imports'))
        .map(({ filename }) => filename),
    );
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  for (const [path, module] of Object.entries(FORBIDDEN)) {
    it(`forbid ${path} to import ${module}`, () => assert.ok(reported.has(path)));
  }
  for (const [path, module] of Object.entries(ALLOWED)) {
    it(`let ${path} import ${module}`, () => assert.ok(!reported.has(path)));
  }
});
