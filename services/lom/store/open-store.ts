import type { Logger } from '../../shared/logger.js';
import { RuneError } from '../../shared/errors.js';
import { openSqliteStore } from './open-sqlite-store.js';
import { parseStoreLocation } from './store-location.js';
import type { StoreSettings } from './store-settings.js';
import { toStoreError } from './store-fault.js';
import type { Store } from './store.js';

/**
 * Opens the store that the setting `store` names, and brings its schema up to date. Throws CONFIGURATION_INVALID for a location
 * that cannot be one, a file that another process has, and a schema newer than this release; STORE_UNAVAILABLE for a database
 * that does not answer. No error holds a password.
 */
export async function openStore(location: string, _settings: StoreSettings, logger: Logger): Promise<Store> {
  const parsed = parseStoreLocation(location);
  try {
    if (parsed.kind !== 'sqlite') throw new Error('Not served yet.');
    const store = await openSqliteStore(parsed.path);
    logger.info('the store is open', { store: parsed.shown });
    return store;
  } catch (thrown) {
    const error = toStoreError(thrown);
    if (error.name !== 'STORE_UNAVAILABLE') throw error;
    throw new RuneError(error.name, `${error.message} It is ${parsed.shown}.`, {}, { cause: error.cause });
  }
}
