import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/package-root.js';

/** What a node with bash 4.2 does not know, or reads otherwise. */
const NEWER_THAN_4_2: Readonly<Record<string, RegExp>> = {
  'wait -n (4.3)': /\bwait\s+-\w*n/,
  'a name reference (4.3)': /\b(?:local|declare|typeset)\s+-\w*n/,
  'a transformation ${x@Q} (4.4)': /\$\{[\w[\]*@]+@[A-Za-z]\}/,
  'mapfile -d (4.4)': /\b(?:mapfile|readarray)\b[^\n]*\s-d/,
  'local - (4.4)': /\blocal\s+-\s*(?:[;\n]|$)/m,
  'shopt inherit_errexit, localvar_* or patsub_replacement':
    /\b(?:inherit_errexit|localvar_\w+|patsub_replacement)\b/,
  'EPOCHREALTIME, EPOCHSECONDS or SRANDOM (5.0, 5.1)': /\b(?:EPOCHREALTIME|EPOCHSECONDS|SRANDOM)\b/,
  '[[ -v array[key] ]] (4.3)': /\[\[?\s+-v\s+\S*\[/,
  'a negative subscript (4.3)': /\$\{\w+\[\s*-\d/,
  // Before 4.4 set -u takes an empty array for an unset variable; ${a[@]+"${a[@]}"} is safe.
  'a bare "${a[@]}"': /(?<!\+)"\$\{(?!__rune_q\b)\w+\[@\]\}"/,
};

const scripts = readdirSync(join(packageRoot, 'plugins'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.sh'))
  .map((path) => join(packageRoot, 'plugins', path));

function findingsIn(text: string): string[] {
  const code = text.replaceAll(/^\s*#.*$/gm, '');
  return Object.entries(NEWER_THAN_4_2)
    .filter(([, pattern]) => pattern.test(code))
    .map(([name]) => name);
}

describe('the shell scripts of the bundle', () => {
  for (const script of scripts) {
    const name = script.slice(packageRoot.length + 1);

    it(`use no syntax newer than bash 4.2: ${name}`, () => {
      assert.deepEqual(findingsIn(readFileSync(script, 'utf8')), []);
    });

    it(`pass shellcheck: ${name}`, () => {
      const { error, stdout, stderr } = spawnSync('shellcheck', ['-s', 'bash', '-x', script], {
        cwd: packageRoot,
        encoding: 'utf8',
      });
      assert.equal(error, undefined, 'This test needs the Debian package shellcheck.');
      assert.equal(stdout + stderr, '');
    });
  }

  it('are searched for each kind of newer syntax', () => {
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
      samples.map((sample) => findingsIn(sample)),
      Object.keys(NEWER_THAN_4_2).map((name) => [name]),
    );
    assert.deepEqual(findingsIn('# wait -n\nf ${a[@]+"${a[@]}"} "${!a[@]}" "${a[@]:0}"'), []);
  });
});
