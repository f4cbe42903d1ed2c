import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const DIRECTORY = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'rune-test-tools');

/** The JSON schema of compose files that test/install-tools.sh fetched. */
export const composeSchemaFile = join(DIRECTORY, 'compose-3.1.0.schema.json');

/** The kubectl that test/install-tools.sh fetched; on machines that it has none for, the one on the PATH. */
export function kubectlProgram(): string {
  const fetched = join(DIRECTORY, 'kubectl-1.35.2');
  return existsSync(fetched) ? fetched : 'kubectl';
}

/** What `kubectl kustomize` makes of a directory: YAML documents. Throws with what it says against it. */
export function kustomize(directory: string): string {
  return execFileSync(kubectlProgram(), ['kustomize', directory], {
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
}
