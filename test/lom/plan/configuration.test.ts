import assert from 'node:assert/strict';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { checkInventoryConfigurations, configurationFor } from '../../../services/lom/plan/configuration.js';
import type { Inventory } from '../../../services/lom/inventory/inventory.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import { loadInventory } from '../../support/load-inventory.js';
import type { Registry } from '../../../services/lom/actions/registry.js';
import { RuneError } from '../../../services/shared/errors.js';
import { createFileFaults } from '../../../services/shared/files/file-faults.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const schemas = createSchemaCompiler();

const manifest = (action: string, rest: object): string =>
  stringify({
    action,
    version: '1.0.0',
    description: 'For tests.',
    entrypoint: 'plugin.sh',
    risk: 'read_only',
    input_schema: { type: 'object' },
    output_schema: { type: 'object' },
    ...rest,
  });

const FILES = {
  'plugins/bundle.yaml': stringify({
    module_name: 'test',
    module_version: '1.0.0',
    module_class: 'test',
    description: 'For tests.',
    actions: ['logs', 'plain'],
    configuration: { logs: { lines: 10 } },
  }),
  'plugins/logs/manifest.yaml': manifest('logs', {
    configuration_schema: {
      type: 'object',
      additionalProperties: false,
      properties: {
        lines: { type: 'integer', maximum: 100 },
        paths: { type: 'array', items: { type: 'string' }, default: ['/var/log'] },
      },
    },
  }),
  'plugins/logs/plugin.sh': '#!/bin/bash\n',
  'plugins/plain/manifest.yaml': manifest('plain', {}),
  'plugins/plain/plugin.sh': '#!/bin/bash\n',
};

describe('the configuration of an action on a node', () => {
  let directory: TempDirectory;
  let registry: Registry;
  before(async () => {
    directory = await makeTempDirectory();
    await directory.write(FILES);
    registry = await loadBundles([join(directory.path, 'plugins')], schemas);
  });
  after(() => directory.remove());

  const inventoryOf = async (text: string): Promise<Inventory> => {
    await directory.write({ 'inventory.yaml': text });
    return loadInventory([join(directory.path, 'inventory.yaml')], schemas);
  };

  const faultsOf = async (text: string): Promise<string[]> => {
    const faults = createFileFaults();
    checkInventoryConfigurations(await inventoryOf(text), registry, faults);
    try {
      faults.throwIfAny('The inventory');
    } catch (thrown) {
      assert(thrown instanceof RuneError);
      return (thrown.facts.validationErrors ?? []).map(({ field, reason, description }) =>
        `${field} ${reason} ${description}`.replace(`${directory.path}/`, ''),
      );
    }
    return [];
  };

  it("is the inventory's values over the bundle's over the defaults", async () => {
    const inventory = await inventoryOf(
      'nodes:\n  a: {user: root}\n  b: {user: root, configuration: {logs: {lines: 3}}}\n',
    );
    const [a, b] = inventory.nodes;
    assert(a && b);
    assert.deepEqual(configurationFor(registry.get('logs'), a, inventory), {
      lines: 10,
      paths: ['/var/log'],
    });
    assert.deepEqual(configurationFor(registry.get('logs'), b, inventory), { lines: 3, paths: ['/var/log'] });
    assert.deepEqual(configurationFor(registry.get('plain'), b, inventory), {});
  });

  it('is checked when the inventory is read, by its line', async () => {
    assert.deepEqual(
      await faultsOf('nodes:\n  a:\n    user: root\n    configuration:\n      logs:\n        lines: 300\n'),
      ['inventory.yaml:6 MAXIMUM nodes.a.configuration.logs.lines must be 100 or less'],
    );
    assert.deepEqual(
      await faultsOf('nodes:\n  a: {user: root}\ngroups:\n  g:\n    configuration: {logs: {lnes: 3}}\n'),
      ['inventory.yaml:5 UNKNOWN groups.g.configuration.logs.lnes is not known; did you mean "lines"?'],
    );
  });

  it('cannot be given to an action that is not there or has none', async () => {
    assert.deepEqual(await faultsOf('nodes:\n  a: {user: root, configuration: {lgos: {}, plain: {}}}\n'), [
      'inventory.yaml:2 UNKNOWN nodes.a.configuration.lgos names "lgos", which is no action here; did you mean "logs"?',
      'inventory.yaml:2 UNKNOWN nodes.a.configuration.plain is for an action without a configuration_schema',
    ]);
  });
});
