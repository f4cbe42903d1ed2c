import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../../shared/package-root.js';

/** A shell program of this folder as it is sent: without comment lines and indentation. It holds no single quote. */
export function nodeShell(name: string): string {
  return readFileSync(join(packageRoot, 'services/lmm/transports/ssm', name), 'utf8')
    .split('\n')
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n');
}
