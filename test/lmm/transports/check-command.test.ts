import assert from 'node:assert/strict';
import { checkCommand } from '../../../services/lmm/transports/check-command.js';
import { encodeUpload } from '../../../services/lmm/transports/encode-upload.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const NODE = nodeOf({ kind: 'local' });

describe('a command for a node', () => {
  for (const field of ['script', 'library', 'input'] as const) {
    it(`is refused with a NUL byte in the ${field}`, () => {
      const command = { ...commandFor(NODE, ''), [field]: Buffer.from('a\0b') };
      assert.throws(() => checkCommand(command), { name: 'INVALID_REQUEST', message: new RegExp(field) });
      assert.throws(() => encodeUpload(command, 15_000), { name: 'INVALID_REQUEST' });
    });
  }

  it('is refused with a run id that a shell could take for more than a word', () => {
    for (const runId of ['', 'a b', "a'b", '$(x)', 'a\nb', 'x'.repeat(65)]) {
      assert.throws(() => checkCommand(commandFor(NODE, '', { runId })), { name: 'INVALID_REQUEST' });
    }
  });

  it('is refused with a variable whose name would be more than a name to a shell', () => {
    for (const name of ['', 'a b', 'a-b', '$(x)', 'a\nb', '1a', 'a;b']) {
      const command = commandFor(NODE, '', { environment: { [name]: 'x' } });
      assert.throws(() => checkCommand(command), { name: 'INVALID_REQUEST', message: /variable/ });
    }
    checkCommand(commandFor(NODE, '', { environment: { PT__noop: 'a b' } }));
  });
});
