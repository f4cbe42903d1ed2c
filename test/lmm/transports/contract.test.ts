import { startSshd, type TestSshd } from '../../support/sshd.js';
import { sshLink } from '../../support/links.js';
import { describeCarrying } from './carrying-contract.js';
import { describeEndings } from './ending-contract.js';
import { describeRunning } from './running-contract.js';

describe('a node over local', () => {
  describe('carrying', () => describeCarrying(() => ({ kind: 'local' })));
  describe('running', () => describeRunning(() => ({ kind: 'local' })));
  describe('ending', () => describeEndings(() => ({ kind: 'local' })));
});

describe('a node over ssh', () => {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd({ maxSessions: 20 });
  });
  after(() => sshd.stop());

  for (const [login, user] of [
    ['as root', 'root'],
    ['as an unprivileged user', 'rune-test'],
  ] as const) {
    describe(login, () => {
      describe('carrying', () => describeCarrying(() => sshLink(sshd, user)));
      describe('running', () => describeRunning(() => sshLink(sshd, user)));
      describe('ending', () => describeEndings(() => sshLink(sshd, user)));
    });
  }
});
