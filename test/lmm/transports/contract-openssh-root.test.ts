import { sshLink, type Link } from '../../support/links.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { describeCarrying } from './carrying-contract.js';

// What a plugin finds in its process and how it ends is the work of the supervisor, which gets the same bytes by either way: that
// part of the contract is tried as root over ssh, and over openssh as an unprivileged user and with sudo.
describe('a node over openssh, as root', () => {
  let sshd: TestSshd;
  before(async () => {
    sshd = await startSshd({ rootOnly: true, maxSessions: 20 });
  });
  after(() => sshd.stop());
  const getLink = (): Link => sshLink(sshd, 'root', 'openssh');

  describe('carrying', () => describeCarrying(getLink));
});
