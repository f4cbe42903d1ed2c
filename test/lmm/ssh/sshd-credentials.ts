import { join } from 'node:path';
import type { CredentialConfigs } from '../../../services/lmm/credentials/watch-credentials.js';
import type { TestSshd } from '../../support/sshd.js';

/** A credential that a test sshd accepts, and three that fail: not for its host, without its key file, with another key. */
export const sshdCredentials = (sshd: TestSshd): CredentialConfigs => ({
  default: { keyFiles: [sshd.userKeyPath] },
  elsewhere: { keyFiles: [sshd.userKeyPath], allowedHosts: ['*.example.org'] },
  missing: { keyFiles: [join(sshd.directory, 'no_such_key')] },
  wrong: { keyFiles: [join(sshd.directory, 'host_ed25519')] },
});
