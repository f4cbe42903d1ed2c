import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lintPlugin } from '../../services/cli/plugin/lint/lint-plugin.js';
import { findNewerSyntax, NEWER_THAN_4_2 } from '../../services/cli/plugin/lint/newer-syntax.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

const library = join(packageRoot, 'plugins', 'lib', 'rune_bpcs.sh');

describe('the shipped bundle', () => {
  it('gives rune plugin lint nothing to complain about', async () => {
    const findings = await lintPlugin(join(packageRoot, 'plugins'), process.env);
    assert.deepEqual(findings, [], 'This test needs the Debian package shellcheck.');
  });

  it('has a library that uses no syntax newer than bash 4.2 and passes shellcheck', () => {
    assert.deepEqual(findNewerSyntax(readFileSync(library, 'utf8')), []);
    const { stdout, stderr } = spawnSync('shellcheck', ['-s', 'bash', library], { encoding: 'utf8' });
    assert.equal(stdout + stderr, '');
  });
});

describe('scripts', () => {
  it('are searched for each kind of syntax newer than bash 4.2', () => {
    const samples = [
      'wait -n',
      'local -n ref=$1',
      'echo "${x@Q}"',
      'mapfile -t -d "" a',
      'f() { local -; set -f; }',
      'shopt -s inherit_errexit',
      'now=$EPOCHREALTIME',
      '[[ -v a[k] ]]',
      'echo "${a[-1]}"',
      'f "${a[@]}"',
    ];
    assert.deepEqual(
      samples.map((sample) => findNewerSyntax(`\n${sample}`)),
      Object.keys(NEWER_THAN_4_2).map((what) => [{ line: 2, what }]),
    );
    assert.deepEqual(findNewerSyntax('# wait -n\nf ${a[@]+"${a[@]}"} "${!a[@]}" "${a[@]:0}"'), []);
  });
});
