import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { checkCommand } from '../../../services/lmm/transports/check-command.js';
import { encodeUpload } from '../../../services/lmm/transports/encode-upload.js';
import { forLogin, REMOTE_COMMAND, remoteCommand } from '../../../services/lmm/transports/remote-command.js';
import { findNewerSyntax } from '../../../services/cli/plugin/lint/newer-syntax.js';
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

describe('the upload', () => {
  it('counts the body and puts library, script and input behind it as they are', () => {
    const command = commandFor(NODE, 'the script', { library: 'the library', input: '{"a":"\'$(x)"}' });
    const { bytes, nonce, startToken } = encodeUpload(command, 15_000);
    const text = bytes.toString('latin1');
    const size = Number(/^RUNE1:(\d{8})/.exec(text)?.[1]);
    const body = text.slice(14, 14 + size);
    assert.equal(text.slice(14 + size), 'the librarythe script{"a":"\'$(x)"}');
    assert(
      body.includes(`NONCE=${nonce} TOKEN=${startToken} `) && body.includes(` RUN_ID=${command.runId} `),
    );
    for (const hidden of ['the script', 'the library', '$(x)']) assert(!body.includes(hidden));
  });

  it('has another nonce and another token each time', () => {
    const command = commandFor(NODE, '');
    const uploads = [encodeUpload(command, 15_000), encodeUpload(command, 15_000)];
    assert.equal(new Set(uploads.flatMap((upload) => [upload.nonce, upload.startToken])).size, 4);
  });

  it('carries a supervisor without comments that bash can read, from 4.2 on', () => {
    for (const systemdScope of [false, true]) {
      const { bytes } = encodeUpload(commandFor(NODE, '', { systemdScope }), 15_000);
      const body = bytes.subarray(14, 14 + Number(bytes.subarray(6, 14)));
      assert.doesNotMatch(body.toString(), /^\s*#/m);
      execFileSync('bash', ['-n'], { input: body });
      assert.deepEqual(findNewerSyntax(`#!/bin/bash\n${body.toString()}`), []);
      assert.equal(body.includes('systemd-run'), systemdScope, 'no other run carries that part');
    }
  });

  for (const field of ['script', 'library', 'input'] as const) {
    it(`refuses a NUL byte in the ${field}`, () => {
      const command = { ...commandFor(NODE, ''), [field]: Buffer.from('a\0b') };
      assert.throws(() => checkCommand(command), { name: 'INVALID_REQUEST', message: new RegExp(field) });
      assert.throws(() => encodeUpload(command, 15_000), { name: 'INVALID_REQUEST' });
    });
  }

  it('refuses a run id that a shell could take for more than a word', () => {
    for (const runId of ['', 'a b', "a'b", '$(x)', 'a\nb', 'x'.repeat(65)]) {
      assert.throws(() => checkCommand(commandFor(NODE, '', { runId })), { name: 'INVALID_REQUEST' });
    }
  });

  it('refuses a variable whose name would be more than a name to a shell', () => {
    for (const name of ['', 'a b', 'a-b', '$(x)', 'a\nb', '1a', 'a;b']) {
      const command = commandFor(NODE, '', { environment: { [name]: 'x' } });
      assert.throws(() => checkCommand(command), { name: 'INVALID_REQUEST', message: /variable/ });
    }
    checkCommand(commandFor(NODE, '', { environment: { PT__noop: 'a b' } }));
  });
});
