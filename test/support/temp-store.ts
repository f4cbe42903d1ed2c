import { join } from 'node:path';
import { openSqliteStore } from '../../services/lom/store/open-sqlite-store.js';
import type { Store } from '../../services/lom/store/store.js';
import { makeTempDirectory } from './temp-directory.js';

/** A store in a file of its own. */
export interface TempStore {
  readonly store: Store;
  /** Closes and deletes it. */
  remove(): Promise<void>;
}

/** Opens an empty store that the caller removes. */
export async function makeTempStore(): Promise<TempStore> {
  const directory = await makeTempDirectory();
  const store = await openSqliteStore(join(directory.path, 'rune.db'));
  return {
    store,
    async remove() {
      await store.close();
      await directory.remove();
    },
  };
}

/** Opens one store for all tests of a `describe`, in which it is to be called. */
export function tempStore(): Pick<TempStore, 'store'> {
  let temp: TempStore;
  before(async () => {
    temp = await makeTempStore();
  });
  after(() => temp.remove());
  return {
    get store() {
      return temp.store;
    },
  };
}
