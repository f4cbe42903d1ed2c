import type { Logger } from '../../shared/logging/logger.js';
import { openPostgresStore } from './open-postgres-store.js';
import { openSqliteStore } from './open-sqlite-store.js';
import { toOpenError } from './store-fault.js';
import { parseStoreLocation } from './store-location.js';
import type { StoreSettings } from './store-settings.js';
import type { Store } from './store.js';

/**
 * Opens the store that the setting `store` names, and brings its schema up to date. Throws CONFIGURATION_INVALID for a location
 * that cannot be one, a file that another process has, a server that refuses the user, and a schema newer than this release;
 * STORE_UNAVAILABLE for a database that does not answer. No error and no log line holds a password.
 */
export async function openStore(location: string, settings: StoreSettings, logger: Logger): Promise<Store> {
  const parsed = parseStoreLocation(location);
  try {
    const store =
      parsed.kind === 'sqlite'
        ? await openSqliteStore(parsed.path)
        : await openPostgresStore(parsed, settings, logger);
    logger.info('the store is open', { store: parsed.shown });
    return store;
  } catch (thrown) {
    throw toOpenError(parsed.shown, thrown);
  }
}
