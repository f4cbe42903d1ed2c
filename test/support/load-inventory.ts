import type { SchemaCompiler } from '../../services/shared/schema/schema.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';
import { createFileFaults } from '../../services/shared/files/file-faults.js';
import type { Inventory } from '../../services/lom/inventory/inventory.js';
import { createInventory } from '../../services/lom/inventory/inventory.js';
import { INVENTORY_BYTES_MAX } from '../../services/lom/inventory-sources/inventory-source.js';
import { readSourceFile } from '../../services/shared/files/source-file.js';
import type { YamlSource } from '../../services/shared/files/yaml-source.js';
import { readYaml } from '../../services/shared/files/yaml-source.js';

/** Loads the inventory of these files. Throws one CONFIGURATION_INVALID that names all their faults with file and line. */
export async function loadInventory(
  files: readonly string[],
  schemas: SchemaCompiler = createSchemaCompiler(),
): Promise<Inventory> {
  const faults = createFileFaults();
  const sources: YamlSource[] = [];
  for (const file of files) {
    const reading = await readSourceFile(file, { bytesMax: INVENTORY_BYTES_MAX });
    if ('bytes' in reading) sources.push(readYaml(reading.bytes, file));
    else faults.addFile(file, 'FILE', `the file ${reading.refusal}`);
  }
  const inventory = createInventory(sources, schemas, faults);
  faults.throwIfAny('The inventory');
  return inventory;
}
