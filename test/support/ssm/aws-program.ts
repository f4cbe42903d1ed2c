import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTempDirectory, type TempDirectory } from '../temp-directory.js';

/** What the program says of /rune/token. */
export const TOKEN_JSON = '"hunter2-9d3f é \\"quoted\\"\\nnext line"';

const PROGRAM = `#!/bin/bash
printf '%s\\n' "$*" >>"\${0%/*}/calls"
while [ "$1" != --name ]; do shift; done
case $2 in
  /rune/token) printf '%s\\n' '${TOKEN_JSON}' ;;
  /rune/long) printf '"%*s"\\n' 30000 '' ;;
  /rune/slow) exec sleep 3600 ;;
  *) echo "An error occurred (AccessDeniedException) when calling the GetParameter operation: no, $2" >&2 && exit 254 ;;
esac
`;

/** A directory with a program `aws` that knows some parameters, and writes its arguments into the file `calls`. */
export async function makeAwsProgram(): Promise<TempDirectory> {
  const directory = await makeTempDirectory();
  await directory.write({ aws: PROGRAM, calls: '' });
  await chmod(join(directory.path, 'aws'), 0o755);
  return directory;
}
