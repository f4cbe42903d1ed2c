import { createInventory, type Inventory } from '../../services/lom/inventory/inventory.js';
import { createFileFaults } from '../../services/shared/files/file-faults.js';
import { readYaml } from '../../services/shared/files/yaml-source.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';

/** The inventory of this text. Throws CONFIGURATION_INVALID. */
export function inventoryOf(text: string): Inventory {
  const faults = createFileFaults();
  const inventory = createInventory(
    [readYaml(Buffer.from(text), 'inventory.yaml')],
    createSchemaCompiler(),
    faults,
  );
  faults.throwIfAny('The inventory');
  return inventory;
}
