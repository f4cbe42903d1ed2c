import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readSettings } from '../../services/shared/settings/config.js';
import { RuneError } from '../../services/shared/errors.js';
import { LOM_SETTINGS } from '../../services/lom/config.js';
import { startLom } from '../../services/lom/service.js';
import { recordingLogger } from '../support/recording-logger.js';
import { makeTempDirectory } from '../support/temp-directory.js';

describe('an orchestrator', () => {
  it('refuses to start with the faults of its bundles and of its inventory in one message', async () => {
    const directory = await makeTempDirectory();
    await directory.write({ 'bundle.yaml': 'color: red\n', 'inventory.yaml': 'nodez: {}\n' });
    const settings = readSettings(LOM_SETTINGS, {
      prefix: 'LOM',
      env: { LOM_PLUGINS: directory.path, LOM_INVENTORY: join(directory.path, 'inventory.yaml') },
    });
    const tools = { logger: recordingLogger().logger, env: {}, onHangup: () => undefined };
    await assert.rejects(startLom(settings, tools), (error: unknown) => {
      assert.ok(error instanceof RuneError);
      assert.equal(error.name, 'CONFIGURATION_INVALID');
      const fields = error.facts.validationErrors?.map(({ field }) => field) ?? [];
      assert.ok(fields.includes(join(directory.path, 'bundle.yaml:1')), fields.join());
      assert.ok(fields.includes(join(directory.path, 'inventory.yaml:1')), fields.join());
      return true;
    });
    await directory.remove();
  });
});
