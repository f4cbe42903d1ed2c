import assert from 'node:assert/strict';
import { readSettings } from '../../services/shared/config.js';
import { LMM_SETTINGS } from '../../services/lmm/config.js';
import { startLmm } from '../../services/lmm/service.js';
import { recordingLogger } from '../support/recording-logger.js';

describe('a mediator', () => {
  async function warnings(env: Record<string, string>): Promise<unknown[]> {
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
    return lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  }

  it('warns when it starts with no way to any node', async () => {
    assert.deepEqual(await warnings({}), [
      'this mediator can reach no node: it has no credentials, and local_enabled is false',
    ]);
    assert.deepEqual(await warnings({ LMM_LOCAL_ENABLED: 'true' }), []);
  });

  it('warns at its start of a credential that cannot be used', async () => {
    assert.deepEqual(await warnings({ LMM_CREDENTIALS: '{"default":{"key_files":["/none"]}}' }), [
      'The credential "default" cannot be used: its key file /none does not exist.',
    ]);
  });
});
