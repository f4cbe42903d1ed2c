import { makeBecomeUsers, type BecomeUsers } from '../../support/become-users.js';
import { sshLink, type Link } from '../../support/links.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';

/** A link to an sshd of its own, where everything runs as another user than the login, by sudo. To be called in a `describe`. */
export function becomeLink(kind: 'ssh' | 'openssh'): () => Link {
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
  return () => ({
    ...sshLink(sshd, users.login, kind),
    runAs: { user: users.target, become: 'sudo' },
  });
}
