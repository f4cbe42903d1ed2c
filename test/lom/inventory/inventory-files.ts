import { join } from 'node:path';
import type { Inventory } from '../../../services/lom/inventory/inventory.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { faultsOf } from '../../support/faults-of.js';
import { loadInventory } from '../../support/load-inventory.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';

const schemas = createSchemaCompiler();

/** Inventories in files. */
export interface InventoryFiles {
  /** Where the files of this test are. */
  readonly path: string;
  /** The inventory of files `0.yaml`, `1.yaml`, … with these texts. */
  load(...texts: string[]): Promise<Inventory>;
  /** Every fault of these files, one `file:line REASON description` each. */
  faults(...texts: string[]): Promise<string[]>;
}

/** Makes a directory for each test. To be called in a `describe`. */
export function inventoryFiles(): InventoryFiles {
  let directory: TempDirectory;
  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  const load = async (...texts: string[]): Promise<Inventory> => {
    await directory.write(Object.fromEntries(texts.map((text, index) => [`${index}.yaml`, text])));
    return loadInventory(
      texts.map((_, index) => join(directory.path, `${index}.yaml`)),
      schemas,
    );
  };
  return {
    get path() {
      return directory.path;
    },
    load,
    faults: (...texts) => faultsOf(load(...texts), directory.path),
  };
}
