import assert from 'node:assert/strict';
import { createBashSyntax } from '../../../services/shared/bundle/bash-syntax.js';

describe('the check of a script by Bash', () => {
  it('says nothing against anything where there is no Bash, and tells so', async () => {
    const syntax = createBashSyntax('/nowhere/bash');
    assert.equal(await syntax.check(Buffer.from('if\n')), undefined);
    assert.equal(syntax.unavailable, 'ENOENT');
  });

  it('is available where Bash is', async () => {
    const syntax = createBashSyntax();
    assert.match(
      (await syntax.check(Buffer.from('#!/bin/bash\nif\n'))) ?? '',
      /^has a syntax error in line \d/,
    );
    assert.equal(await syntax.check(Buffer.alloc(1024 * 1024, '#')), undefined);
    assert.equal(syntax.unavailable, undefined);
  });
});
