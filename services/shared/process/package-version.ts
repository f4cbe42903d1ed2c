import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './package-root.js';

/** Version of the installed package, such as "0.1.0". */
export function packageVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const version =
    content !== null && typeof content === 'object' && 'version' in content ? content.version : undefined;
  if (typeof version !== 'string') throw new Error('package.json names no version.');
  return version;
}
