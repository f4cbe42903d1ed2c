import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactShell } from '../../../shared/compact-shell.js';
import { packageRoot } from '../../../shared/process/package-root.js';

/** One of the folder `scripts` as it is sent. It holds no single quote. */
export function nodeShell(name: string): string {
  return compactShell(readFileSync(join(packageRoot, 'services/lmm/transports/ssm/scripts', name), 'utf8'));
}
