import { homedir } from 'node:os';
import { join } from 'node:path';

const DIRECTORY = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'rune-test-tools');

/** The JSON schema of compose files that test/install-tools.sh fetched. */
export const composeSchemaFile = join(DIRECTORY, 'compose-3.1.0.schema.json');
