import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { checkCommand } from '../../../services/lmm/transports/check-command.js';
import { forLogin, REMOTE_COMMAND, remoteCommand } from '../../../services/lmm/transports/remote-command.js';
import { commandFor } from '../../support/run-plugin.js';
import { nodeOf } from '../../support/links.js';
import type { NodeCommand } from '../../../services/lmm/transports/transport.js';

const NODE = nodeOf({ kind: 'local' });

describe('the remote command', () => {
  it('holds nothing that a login shell could read differently', () => {
    assert.doesNotMatch(REMOTE_COMMAND, /[!\\\n]/);
    assert.equal(REMOTE_COMMAND.split("'").length, 3);
  });

  for (const shell of ['/bin/sh', '/bin/bash', '/bin/dash']) {
    for (const [what, stdin] of [
      ['nothing', ''],
      ['half a header', 'RUNE1:00'],
      ['another header', 'RUNE2:00000010echo oops >&2'],
      ['a header out of step', 'UNE1:00000012\nexit 5;exit 5'],
      ['fewer bytes than counted', 'RUNE1:00000100echo oops'],
    ] as const) {
      it(`evaluates nothing and says so when ${shell} gets ${what}`, () => {
        assert(existsSync(shell), `${shell} is missing`);
        const done = spawnSync(shell, ['-c', REMOTE_COMMAND], { input: stdin });
        assert.equal(done.status, 97);
        assert.equal(done.stdout.toString(), '');
      });
    }
  }
});

describe('the remote command as another user', () => {
  const asUser = (user: string): NodeCommand => commandFor(NODE, '', { runAs: { user, become: 'sudo' } });

  it('holds the name of the user, and nothing that a login shell could read differently', () => {
    const line = remoteCommand(asUser('app.user-1_'));
    assert.doesNotMatch(line, /[!\\\n]/);
    const [, , words, , ...rest] = line.split("'");
    assert.equal(words, ' rune sudo app.user-1_ ');
    assert.deepEqual(rest, ['']);
    assert.equal(
      remoteCommand(asUser('other')),
      line.replaceAll('app.user-1_', 'other'),
      'the name stands in the argument only',
    );
  });

  it('is the plain one for the login, by whatever way it is the login', () => {
    assert.equal(remoteCommand(commandFor(NODE, '')), REMOTE_COMMAND);
    assert.equal(remoteCommand(forLogin(asUser('root'), 'root')), REMOTE_COMMAND);
    assert.notEqual(remoteCommand(forLogin(asUser('root'), 'deploy')), REMOTE_COMMAND);
  });

  for (const user of ['', 'root; id', '-u', '#0', '0', "a'b", '$(id)', 'a b', 'root\n', 'x'.repeat(33)]) {
    it(`is not made for the user ${JSON.stringify(user)}`, () => {
      assert.throws(() => checkCommand(asUser(user)), { name: 'INVALID_REQUEST', message: /login name/ });
    });
  }
});
