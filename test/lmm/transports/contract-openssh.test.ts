import { startSshd, type TestSshd } from '../../support/sshd.js';
import { sshLink } from '../../support/links.js';
import { describeCarrying } from './carrying-contract.js';
import { describeEndings } from './ending-contract.js';
import { describeRunning } from './running-contract.js';

// In a file of its own, so that it runs beside the other transports.
describe('a node over openssh', () => {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd({ maxSessions: 20 });
  });
  after(() => sshd.stop());

  describe('carrying', () => describeCarrying(() => sshLink(sshd, 'rune-test', 'openssh')));
  describe('running', () => describeRunning(() => sshLink(sshd, 'rune-test', 'openssh')));
  describe('ending', () => describeEndings(() => sshLink(sshd, 'rune-test', 'openssh')));
});
