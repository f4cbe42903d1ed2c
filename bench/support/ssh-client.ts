import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import ssh2, { type Client } from 'ssh2';
import type { TestSshd } from '../../test/support/sshd.js';

/** A connection of the bench's own to the sshd, with TCP_NODELAY from the first byte, logged in as `user`. */
export async function connectSsh(sshd: TestSshd, user: string): Promise<Client> {
  const privateKey = await readFile(sshd.userKeyPath);
  const client = new ssh2.Client();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    client.on('error', reject);
    client.connect({
      sock: connect({ host: sshd.host, port: sshd.port, noDelay: true }),
      username: user,
      privateKey,
      // The bench made this sshd and its keys a moment ago.
      hostVerifier: () => true,
    });
  });
  return client;
}
