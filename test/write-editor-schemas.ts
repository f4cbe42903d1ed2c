// npm run schemas: writes the JSON Schemas for editors anew, after what the files are checked with has changed, and the document for
// Systems Manager, after the programs that it holds have.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { editorSchemas } from '../services/cli/plugin/editor-schemas.js';
import { typedDocument } from '../services/lmm/transports/ssm/typed-document.js';
import { packageRoot } from '../services/shared/process/package-root.js';

for (const [name, text] of editorSchemas()) writeFileSync(join(packageRoot, 'plugins', name), text);
writeFileSync(join(packageRoot, 'deploy/ssm/RUNE-Run.json'), `${JSON.stringify(typedDocument(), null, 2)}\n`);
