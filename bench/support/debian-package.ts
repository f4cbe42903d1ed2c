import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from './run-program.js';

async function isOnPath(program: string): Promise<boolean> {
  const found = await Promise.all(
    (process.env.PATH ?? '').split(':').map((folder) =>
      access(join(folder, program), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}

/**
 * Sees to it that a program of another project is there, installing its Debian package when this is root. Undefined when it
 * is there, else why it is not.
 */
export async function requirePackage(
  program: string,
  name: string,
  say: (text: string) => void,
): Promise<string | undefined> {
  if (await isOnPath(program)) return undefined;
  if (process.getuid?.() !== 0) return `${name} is missing: apt-get install ${name}`;
  say(`installing the Debian package ${name}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await runProgram({ file: 'apt-get', args: ['update'], env });
    await runProgram({ file: 'apt-get', args: ['install', '-y', '--no-install-recommends', name], env });
    return undefined;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return `${name} could not be installed`;
  }
}
