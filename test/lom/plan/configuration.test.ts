import assert from 'node:assert/strict';
import { join } from 'node:path';
import { checkInventoryConfigurations, configurationFor } from '../../../services/lom/plan/configuration.js';
import type { Inventory } from '../../../services/lom/inventory/inventory.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import type { Registry } from '../../../services/lom/actions/registry.js';
import { createFileFaults } from '../../../services/shared/files/file-faults.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { bundleFiles } from '../../support/bundle-files.js';
import { faultsOf } from '../../support/faults-of.js';
import { loadInventory } from '../../support/load-inventory.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const schemas = createSchemaCompiler();

const FILES = bundleFiles(
  {
    logs: {
      configuration_schema: {
        type: 'object',
        additionalProperties: false,
        properties: {
          lines: { type: 'integer', maximum: 100 },
          paths: { type: 'array', items: { type: 'string' }, default: ['/var/log'] },
        },
      },
    },
    plain: {},
  },
  { configuration: { logs: { lines: 10 } } },
);

describe('the configuration of an action on a node', () => {
  let directory: TempDirectory;
  let registry: Registry;
  before(async () => {
    directory = await makeTempDirectory();
    await directory.write(FILES);
    registry = await loadBundles([directory.path], schemas);
  });
  after(() => directory.remove());

  const inventoryIn = async (text: string): Promise<Inventory> => {
    await directory.write({ 'inventory.yaml': text });
    return loadInventory([join(directory.path, 'inventory.yaml')], schemas);
  };

  const check = async (text: string): Promise<void> => {
    const faults = createFileFaults();
    checkInventoryConfigurations(await inventoryIn(text), registry, faults);
    faults.throwIfAny('The inventory');
  };
  const faults = (text: string): Promise<string[]> => faultsOf(check(text), directory.path);

  it("is the inventory's values over the bundle's over the defaults", async () => {
    const inventory = await inventoryIn(
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
      await faults('nodes:\n  a:\n    user: root\n    configuration:\n      logs:\n        lines: 300\n'),
      ['inventory.yaml:6 MAXIMUM nodes.a.configuration.logs.lines must be 100 or less'],
    );
    assert.deepEqual(
      await faults('nodes:\n  a: {user: root}\ngroups:\n  g:\n    configuration: {logs: {lnes: 3}}\n'),
      ['inventory.yaml:5 UNKNOWN groups.g.configuration.logs.lnes is not known; did you mean "lines"?'],
    );
  });

  it('cannot be given to an action that is not there or has none', async () => {
    assert.deepEqual(await faults('nodes:\n  a: {user: root, configuration: {lgos: {}, plain: {}}}\n'), [
      'inventory.yaml:2 UNKNOWN nodes.a.configuration.lgos names "lgos", which is no action here; did you mean "logs"?',
      'inventory.yaml:2 UNKNOWN nodes.a.configuration.plain is for an action without a configuration_schema',
    ]);
  });
});
