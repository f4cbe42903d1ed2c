// npm run schemas: writes the JSON Schemas for editors anew, after what the files are checked with has changed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { editorSchemas } from '../services/cli/plugin/editor-schemas.js';
import { packageRoot } from '../services/shared/package-root.js';

for (const [name, text] of editorSchemas()) writeFileSync(join(packageRoot, 'plugins', name), text);
