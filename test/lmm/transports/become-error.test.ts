import assert from 'node:assert/strict';
import { becomeError } from '../../../services/lmm/transports/become-error.js';
import type { ChannelEnd } from '../../../services/lmm/transports/channel.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const exited = (exitCode: number): ChannelEnd => ({ kind: 'exited', exitCode, signal: null });

/** Name and reason of the error for what was printed before exit code 1. */
function errorOf(printed: string, end = exited(1), become: 'sudo' | 'doas' = 'sudo'): string | undefined {
  const command = commandFor(nodeOf({ kind: 'local' }), '', { runAs: { user: 'app', become } });
  const error = becomeError(command, end, printed);
  if (error === undefined) return undefined;
  assert.equal(error.message, `Nothing ran on web01: ${error.facts.reason}.`);
  assert.equal(error.facts.stderrTail, printed);
  return `${error.name} ${error.facts.reason}`;
}

const PASSWORD = 'BECOME_PASSWORD_REQUIRED sudo asks the login for a password before it runs bash as app';
const DENIED = 'BECOME_DENIED sudo does not let the login run bash as app';
const NO_USER = 'BECOME_UNAVAILABLE sudo cannot run bash as app: there is no such user';
const BROKEN = 'BECOME_UNAVAILABLE sudo does not work there';

describe('what sudo and doas say instead of running anything', () => {
  for (const [words, expected] of [
    // sudo 1.8 and 1.9
    ['sudo: a password is required', PASSWORD],
    ['sudo: sorry, a password is required to run sudo', PASSWORD],
    ['sudo: no tty present and no askpass program specified', PASSWORD],
    ["sudo: a terminal is required to read the password; either use ssh's -t option", PASSWORD],
    ["Sorry, user deploy is not allowed to execute '/usr/bin/bash' as app on web01.", DENIED],
    ['deploy is not in the sudoers file.\nThis incident has been reported to the administrator.', DENIED],
    ['Sorry, user deploy may not run sudo on web01.', DENIED],
    ['sudo: Account expired or PAM config lacks an "account" section for sudo', DENIED],
    ['sudo: PAM account management error: Permission denied', DENIED],
    ['sudo: unknown user: app\nsudo: unable to initialize policy plugin', NO_USER],
    ['sudo: unknown user app\nsudo: error initializing audit plugin sudoers_audit', NO_USER],
    ['sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set', BROKEN],
    ['sudo: effective uid is not 0, is /usr/bin/sudo on a file system with nosuid set?', BROKEN],
    ['sudo: The "no new privileges" flag is set, which prevents sudo from running as root.', BROKEN],
    ['sudo: no valid sudoers sources found, quitting', BROKEN],
    // sudo-rs
    ['sudo: interactive authentication is required', PASSWORD],
    ["sudo: I'm sorry deploy. I'm afraid I can't do that", DENIED],
    ["sudo: Sorry, user deploy is not allowed to execute '/usr/bin/bash' as app on web01.", DENIED],
    ["sudo: user 'app' not found", NO_USER],
  ] as const) {
    it(`tells apart: ${words.split('\n')[0]}`, () => {
      assert.equal(errorOf(`${words}\n`), expected);
      assert.equal(
        errorOf(`Welcome!\nsudo: unable to resolve host web01: Name or service not known\n${words}`),
        expected,
      );
    });
  }

  it('says that a terminal is asked for, which no setting of this side can give', () => {
    assert.equal(
      errorOf('sudo: sorry, you must have a tty to run sudo\n'),
      'BECOME_DENIED sudo runs bash as app only from a terminal (requiretty)',
    );
  });

  it('names doas where it was doas', () => {
    const said = (words: string): string | undefined => errorOf(words, exited(1), 'doas');
    assert.equal(
      said('doas: Authentication required\n'),
      'BECOME_PASSWORD_REQUIRED doas asks the login for a password before it runs bash as app',
    );
    assert.equal(said('doas: Authorization required\n'), said('doas: Authentication required\n'));
    assert.equal(
      said('doas: Operation not permitted\n'),
      'BECOME_DENIED doas does not let the login run bash as app',
    );
    assert.equal(
      said('doas: unknown user\n'),
      'BECOME_UNAVAILABLE doas cannot run bash as app: there is no such user',
    );
    for (const words of [
      'doas: doas is not enabled, /etc/doas.conf: No such file or directory\n',
      'doas: /etc/doas.conf is writable by group or other\n',
      'doas: not installed setuid\n',
    ])
      assert.equal(said(words), 'BECOME_UNAVAILABLE doas does not work there');
  });

  it('takes the word of the remote command for a program that is missing and for a user who is not allowed', () => {
    assert.equal(errorOf('', exited(96)), 'BECOME_UNAVAILABLE sudo is not installed there');
    assert.equal(errorOf('sudo: a password is required\n', exited(98)), DENIED);
  });

  it('leaves everything else alone: other words, other exit codes, a lost link, a run as the login', () => {
    assert.equal(errorOf('This account is not allowed to log in\n'), undefined);
    assert.equal(errorOf('sudo: unable to resolve host web01: Name or service not known\n'), undefined);
    assert.equal(errorOf('sudo: bash: command not found\n'), undefined);
    for (const code of [0, 2, 97, 127, 255]) {
      assert.equal(errorOf('sudo: a password is required\n', exited(code)), undefined);
    }
    assert.equal(errorOf('sudo: a password is required\n', { kind: 'lost', reason: 'gone' }), undefined);
    const command = commandFor(nodeOf({ kind: 'local' }), '');
    assert.equal(becomeError(command, exited(1), 'sudo: a password is required\n'), undefined);
  });
});
