import assert from 'node:assert/strict';
import { repeatsUpload } from '../../../services/lmm/transports/repeats-upload.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const NONCE = '0123456789abcdef0123456789abcdef';
const PASSWORD = 'correct horse battery staple, and some more words behind it';

describe('what a node prints before a plugin begins', () => {
  const command = commandFor(
    nodeOf({ kind: 'local' }),
    'echo a script is no secret, however long its lines are',
    {
      input: `{"payload":{"input_parameters":{"password":"${PASSWORD}"}}}`,
      arguments: ['--token', `token ${PASSWORD}`],
      environment: { PT_key: `key ${PASSWORD}` },
    },
  );
  const repeats = (printed: string): boolean => repeatsUpload(Buffer.from(printed), command, NONCE);

  for (const [what, printed] of [
    ['the whole input', command.input.toString()],
    ['a part of the input between other words', `login: ${PASSWORD.slice(3, 55)}\r\nlogin: `],
    ['an argument', `bash: token ${PASSWORD}: not found`],
    ['a variable', `key ${PASSWORD}`],
    ['the header, by its nonce', `RUNE1:00004711NONCE=${NONCE} TOKEN=`],
  ] as const) {
    it(`is held back if it repeats ${what}`, () => assert.equal(repeats(printed), true));
  }

  it('is shown if it does not, or if it quotes the plugin', () => {
    assert.equal(repeats(''), false);
    assert.equal(repeats('bash: line 1: bash: command not found, and more words that nobody sent\n'), false);
    assert.equal(repeats(command.script.toString()), false);
  });
});
