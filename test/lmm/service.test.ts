import assert from 'node:assert/strict';
import { readSettings } from '../../services/shared/settings/config.js';
import { LMM_SETTINGS } from '../../services/lmm/config.js';
import { startLmm } from '../../services/lmm/service.js';
import { recordingLogger } from '../support/recording-logger.js';

describe('a mediator', () => {
  async function logOf(env: Record<string, string>): Promise<Record<string, unknown>[]> {
    const { logger, lines } = recordingLogger();
    const settings = readSettings(LMM_SETTINGS, {
      prefix: 'LMM',
      env: { LMM_LISTEN: '127.0.0.1:0', ...env },
    });
    const tools = {
      logger,
      env: {},
      configFile: undefined,
      reread: () => settings,
      onHangup: () => undefined,
    };
    await (await startLmm(settings, tools)).stop(0);
    return lines;
  }

  async function warnings(env: Record<string, string>): Promise<unknown[]> {
    return (await logOf(env)).filter(({ level }) => level === 'warn').map(({ message }) => message);
  }

  it('warns when it starts with no way to any node', async () => {
    assert.deepEqual(await warnings({}), [
      'this mediator can reach no node: it has no credentials, and local_enabled and ssm.enabled are false',
    ]);
    assert.deepEqual(await warnings({ LMM_LOCAL_ENABLED: 'true' }), []);
  });

  it('offers the transport openssh where it finds an ssh, and says why where it does not', async () => {
    const offers = (lines: Record<string, unknown>[]) =>
      lines.find((line) => 'transports' in line)?.['transports'];
    assert.deepEqual(offers(await logOf({})), ['ssh', 'openssh']);
    const without = await logOf({ LMM_OPENSSH_PROGRAM: '/none/ssh' });
    assert.deepEqual(offers(without), ['ssh']);
    const why = 'the transport openssh is not offered: /none/ssh cannot be started (ENOENT)';
    assert.equal(without.find(({ message }) => message === why)?.['level'], 'info');
  });

  it('warns at its start when a credential needs an ssh that is not there', async () => {
    const credentials = '{"default":{"client":"openssh","gssapi":true}}';
    assert.deepEqual(await warnings({ LMM_OPENSSH_PROGRAM: '/none/ssh', LMM_CREDENTIALS: credentials }), [
      'the transport openssh is not offered: /none/ssh cannot be started (ENOENT)',
    ]);
  });

  it('warns at its start of a credential that cannot be used', async () => {
    assert.deepEqual(await warnings({ LMM_CREDENTIALS: '{"default":{"key_files":["/none"]}}' }), [
      'The credential "default" cannot be used: its key file /none does not exist.',
    ]);
  });
});
