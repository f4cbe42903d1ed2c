import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startSshd, type SshdOptions, type TestHostKey, type TestSshd } from '../../support/sshd.js';
import { opensshOn, type OpensshOn } from './openssh-on.js';

const run = promisify(execFile);

/** An sshd, and transports `openssh` to it. */
export interface OpensshWorld {
  readonly sshd: TestSshd;
  /** The transport of this test. */
  readonly on: OpensshOn;
  ed25519(): TestHostKey;
  /** Makes a key of this name in the directory of the test's transport, with more arguments of ssh-keygen. */
  newKey(name: string, ...args: string[]): Promise<string>;
}

/** Starts an sshd for the tests of a `describe`, in which it is to be called, and makes a transport to it for each. */
export function opensshWorld(options: SshdOptions = {}): OpensshWorld {
  let sshd: TestSshd;
  let on: OpensshOn;
  before(async () => {
    sshd = await startSshd(options);
  });
  after(() => sshd.stop());
  beforeEach(async () => {
    on = await opensshOn(sshd);
  });
  afterEach(() => on.transport.close());
  return {
    get sshd() {
      return sshd;
    },
    get on() {
      return on;
    },
    ed25519: () => sshd.hostKeys.find((key) => key.type === 'ed25519') ?? assert.fail(),
    async newKey(name, ...args) {
      const path = join(on.base, name);
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path, ...args]);
      return path;
    },
  };
}

/** The line of a public key that ssh-keygen wrote. */
export const publicKey = async (path: string): Promise<string> =>
  (await readFile(`${path}.pub`, 'utf8')).trim();
