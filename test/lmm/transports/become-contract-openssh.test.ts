import { makeBecomeUsers, type BecomeUsers } from '../../support/become-users.js';
import { sshLink, type Link } from '../../support/links.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { describeEndings } from './ending-contract.js';

// What a plugin finds in its process, and what of its bytes comes through, is tried over ssh with sudo, and over openssh without.
describe('a node over openssh, as another user by sudo', () => {
  let sshd: TestSshd;
  let users: BecomeUsers;
  before(async () => {
    sshd = await startSshd({ rootOnly: true, maxSessions: 20 });
    users = await makeBecomeUsers();
    await users.allow({ sudoers: 'LOGIN ALL=(TARGET) NOPASSWD: /usr/bin/bash' });
  });
  after(async () => {
    await sshd.stop();
    await users.remove();
  });
  const getLink = (): Link => ({
    ...sshLink(sshd, users.login, 'openssh'),
    runAs: { user: users.target, become: 'sudo' },
  });

  describe('ending', () => describeEndings(getLink));
});
