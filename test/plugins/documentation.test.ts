import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TESTS_SCHEMA } from '../../services/cli/plugin/test/tests-schema.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { spawnRune } from '../support/spawn-rune.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';
import { readYaml } from '../../services/shared/files/yaml-source.js';
import type { BashEnding } from '../support/bash.js';
import { runBash, runWithLibrary, shellLibrary } from '../support/bash.js';
import { type Block, blocksOf } from '../support/markdown-blocks.js';
import { startServicePair, type ServicePair } from '../support/service-pair.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const page = readFileSync(join(packageRoot, 'docs', 'plugins.md'), 'utf8');
const blocks = blocksOf(page);
const document = blocks.find(({ kind }) => kind === 'json input')?.text ?? '{}';
const input = JSON.stringify(JSON.parse(document));

async function run(example: Block): Promise<BashEnding> {
  const script = example.text.includes('rune_init') ? example.text : `rune_init\n${example.text}`;
  if (example.kind === 'bash dry_run') {
    return runWithLibrary(script, { input: input.replace('"dry_run":false', '"dry_run":true') });
  }
  if (example.kind !== 'bash directory') return runWithLibrary(script, { input });
  const directory = await makeTempDirectory();
  try {
    const files = { 'plugin.sh': script, 'rune_bpcs.sh': shellLibrary, 'lib/rune_bpcs.sh': shellLibrary };
    await directory.write(files);
    return await runBash([join(directory.path, 'plugin.sh')], { input });
  } finally {
    await directory.remove();
  }
}

/** What a block of this kind shows of how the example ended. */
function shown(kind: string, ending: BashEnding): unknown {
  const stdout = ending.stdout.toString();
  switch (kind) {
    case 'text stderr':
      return ending.stderr.replaceAll('\x1e', '␞');
    case 'text stdout':
      // Examples that print do not answer, so the library does, after them.
      return stdout.slice(0, stdout.lastIndexOf('{"message_metadata"'));
    case 'json payload':
    case 'json error': {
      const answer = JSON.parse(stdout) as { payload: unknown; error: { code: number } | null };
      assert.equal(ending.exitCode, answer.error?.code ?? 0);
      return kind === 'json payload' ? answer.payload : answer.error;
    }
    default:
      return assert.fail(`no example shows its outcome in a block "${kind}"`);
  }
}

/** The same value with every count of something of this machine taken for 0. */
function withoutFigures(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, item: unknown) => {
    if (key === 'value' || key === 'lines') return 0;
    return key === 'text' && typeof item === 'string' ? item.replace(/\d+/g, '0') : item;
  }) as unknown;
}

describe('docs/plugins.md', () => {
  for (const [i, block] of blocks.entries()) {
    if (!block.kind.startsWith('bash')) continue;
    const outcome = blocks[i + 1];
    it(`shows what happens: ${block.heading} (${block.text.split('\n')[0]})`, async () => {
      assert.ok(outcome !== undefined);
      const actual = shown(outcome.kind, await run(block));
      assert.deepEqual(actual, outcome.kind.startsWith('json') ? JSON.parse(outcome.text) : outcome.text);
    });
  }

  it('shows a tests.yaml that can be used', () => {
    const example = blocks.find(({ heading, kind }) => heading === 'tests.yaml' && kind === 'yaml');
    const { value, faults } = readYaml(Buffer.from(example?.text ?? ''), 'tests.yaml');
    assert.deepEqual(faults, []);
    assert.deepEqual(createSchemaCompiler().compile(JSON.stringify(TESTS_SCHEMA), '').faults(value), []);
  });

  describe('shows what programs and scripts that know nothing of RUNE answer', () => {
    let directory: TempDirectory;
    let services: ServicePair | undefined;
    before(async () => {
      directory = await makeTempDirectory();
      const files = page.matchAll(/`(others\/[^`\n]+)`[^\n]*:\n\n```\w+\n([^]*?)^```$/gm);
      await directory.write(Object.fromEntries([...files].map(([, path = '', text = '']) => [path, text])));
      services = await startServicePair({
        directory: directory.path,
        nodes: { localhost: { address: 'localhost', transport: 'local' } },
        plugins: [join(directory.path, 'others')],
        lmm: { local_enabled: true },
      });
    });
    after(async () => {
      await services?.lom.stop();
      await services?.lmm.stop();
      await directory.remove();
    });

    for (const [i, { kind, text }] of blocks.entries()) {
      const outcome = blocks[i + 1];
      if (kind !== 'sh' || outcome?.kind !== 'json result') continue;
      it(text.trim(), async () => {
        const [name, ...words] = text.trim().split(' ');
        assert.equal(name, 'rune');
        const rune = spawnRune([...words, '--server', services?.lom.address ?? '', '-o', 'json']);
        await rune.exited;
        const { result } = JSON.parse(rune.out()).runs[0];
        assert.deepEqual(
          withoutFigures(result?.output),
          withoutFigures(JSON.parse(outcome.text)),
          rune.out(),
        );
      });
    }
  });

  it('describes every function of the library and no other', () => {
    const defined = new Set([...shellLibrary.matchAll(/^(rune_\w+)\(\)/gm)].map(([, name]) => name));
    const described = new Set(
      [...page.matchAll(/^### .*$/gm)].flatMap(([line]) => line.match(/rune_\w+/g) ?? []),
    );
    assert.deepEqual(described, defined);
  });
});
