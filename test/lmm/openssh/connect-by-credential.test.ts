import assert from 'node:assert/strict';
import { connectByCredential } from '../../../services/lmm/transports/openssh/connect-by-credential.js';
import {
  failedBefore,
  type Connect,
  type ConnectContext,
} from '../../../services/lmm/transports/ssh/connection.js';
import type { SshTarget } from '../../../services/lmm/transports/ssh/ssh-target.js';
import { RuneError } from '../../../services/shared/errors.js';
import { CREDENTIAL, TARGET } from '../ssh/ssh-target.js';

const ASKING: SshTarget['credential'] = { ...CREDENTIAL, name: 'ticket', client: 'openssh', gssapi: true };

/** A way to connect that only says that it was used. */
const named =
  (name: string): Connect =>
  () =>
    Promise.resolve(failedBefore(new RuneError('INTERNAL', name)));

async function answer(target: SshTarget, openssh: Connect | undefined): Promise<RuneError> {
  const connect = connectByCredential({ library: named('library'), openssh });
  const limits = { timeoutMs: 1, leftMs: 1, signal: new AbortController().signal };
  const result = await connect(target, {} as ConnectContext, limits, { phase: 'dialling' });
  return result.ok ? assert.fail('it connected') : result.error;
}

describe('a connection over ssh', () => {
  const bastion: SshTarget = { ...TARGET, node: 'bastion', credential: ASKING };

  it('is made by the ssh of the system where a credential of node or jump host asks for it', async () => {
    const openssh = named('openssh');
    assert.equal((await answer(TARGET, openssh)).message, 'library');
    assert.equal((await answer({ ...TARGET, credential: ASKING }, openssh)).message, 'openssh');
    assert.equal((await answer({ ...TARGET, via: bastion }, openssh)).message, 'openssh');
  });

  it('is refused where that ssh is not there, with the name of the credential', async () => {
    const error = await answer({ ...TARGET, via: bastion }, undefined);
    assert.equal(error.name, 'CREDENTIAL_UNUSABLE');
    assert.match(error.message, /The credential "ticket", which bastion needs, takes the system's ssh/);
  });
});
