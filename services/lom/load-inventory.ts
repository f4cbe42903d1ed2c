import type { SchemaCompiler } from '../shared/schema.js';
import { createSchemaCompiler } from '../shared/schema.js';
import { createFileFaults } from '../shared/file-faults.js';
import type { Inventory } from './inventory.js';
import { createInventory } from './inventory.js';
import { readSourceFile } from '../shared/source-file.js';
import type { YamlSource } from '../shared/yaml-source.js';
import { readYaml } from '../shared/yaml-source.js';

/** Largest inventory file, in bytes. */
const INVENTORY_BYTES_MAX = 32 * 1024 * 1024;

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
