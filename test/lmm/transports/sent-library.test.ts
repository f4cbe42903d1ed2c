import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { sentLibrary } from '../../../services/lmm/transports/sent-library.js';
import { shellLibrary, testBash } from '../../support/bash.js';

const { first, rest } = sentLibrary(Buffer.from(shellLibrary));

/** The functions that these scripts define, one after the other, with their code. */
function functionsOf(...scripts: readonly (string | Buffer)[]): Map<string, string> {
  const script = scripts.map(String).join('');
  const done = spawnSync(testBash, ['--norc', '-c', 'eval "$1"; declare -f', 'bash', script], {
    encoding: 'utf8',
  });
  assert.equal(done.stderr, '');
  const texts = done.stdout.split(/^(?=\w+ \(\) ?$)/m);
  return new Map(texts.map((text) => [text.slice(0, text.indexOf(' ')), text]));
}

describe('the shipped library as it is sent', () => {
  it('defines what the file does, when all of it is evaluated', () => {
    assert.deepEqual(functionsOf(first, rest), functionsOf(shellLibrary));
  });

  it('defines every public function before the rest is parsed', () => {
    const isPublic = (name: string): boolean => name.startsWith('rune_');
    assert.deepEqual(
      [...functionsOf(first).keys()].filter(isPublic),
      [...functionsOf(shellLibrary).keys()].filter(isPublic),
    );
  });

  it('calls nothing of the rest without parsing it first', () => {
    const early = functionsOf(first);
    const late = [...functionsOf(rest).keys()].filter((name) => !early.has(name));
    for (const [name, text] of early) {
      // A document that was not read the short way was read by the rest.
      const called = late.filter((other) => new RegExp(`\\b${other}\\b`).test(text));
      const parsedAt = text.search(/\b__rune_more\b/);
      for (const other of called)
        assert.ok(
          name === 'rune_init' || (parsedAt !== -1 && parsedAt < text.search(new RegExp(`\\b${other}\\b`))),
          `${name}: ${other}`,
        );
    }
  });

  it('stays as it is when it is another one', () => {
    const own = Buffer.from(`${shellLibrary}# mine\n`);
    assert.deepEqual(sentLibrary(own), { first: own, rest: Buffer.alloc(0) });
  });
});
