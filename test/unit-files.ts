import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const TESTS = dirname(fileURLToPath(import.meta.url));
/** What starts an sshd, a database, a service or the command line as a process of its own, or is one, or needs a tool that the unit part does without. */
const STARTERS = [
  'cli/installed-command.test.js',
  'deploy/image.test.js',
  'deploy/systemd.test.js',
  'support/postgres.js',
  'support/rpc-flood-reader.js',
  'support/rpc-flood-server.js',
  'support/service-process.js',
  'support/spawn-rune.js',
  'support/sshd.js',
  'support/systemd-machine.js',
  'support/test-tools.js',
  'support/tiny-service.js',
].map((file) => join(TESTS, file));

/** Whether a test file names a starter, by itself or through what it names: as an import, or as a program to run. */
function startsProcesses(file: string, seen = new Set<string>()): boolean {
  if (STARTERS.includes(file)) return true;
  if (seen.has(file) || !file.startsWith(TESTS)) return false;
  seen.add(file);
  const named = readFileSync(file, 'utf8').matchAll(
    /\b(?:from|import|URL)\b\s*\(?\s*['"](\.{1,2}\/[^'"]+\.js)['"]/g,
  );
  return [...named].some(([, path = '']) => startsProcesses(resolve(dirname(file), path), seen));
}

/** Compiled test files that need neither sshd nor PostgreSQL nor our services and command line as processes; bash and its tools they may. */
export function unitFiles(): string[] {
  return readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(TESTS, name))
    .filter((file) => !startsProcesses(file))
    .toSorted();
}

// The script test:unit hands them to mocha.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${unitFiles().join('\n')}\n`);
}
