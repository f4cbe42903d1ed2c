import { dirname, join } from 'node:path';
import { readSourceFile } from '../../../shared/files/source-file.js';

const NAMES = ['.shellcheckrc', 'shellcheckrc'];
const RC_BYTES_MAX = 64 * 1024;
const DISABLED = /^(?:all|SC(\d{1,5})(?:-SC(\d{1,5}))?)$/;
const ENABLED = /^[a-z-]{1,64}$/;

/** What a .shellcheckrc asks for, as far as it is heard. */
export interface ShellcheckRules {
  /** Optional checks to be made. */
  readonly enabled: readonly string[];
  isDisabled(code: number): boolean;
}

/**
 * The rules of the nearest .shellcheckrc in this directory or above. Only `disable` and `enable` count: by the rest a bundle could
 * have shellcheck read any file of this machine, devices without an end among them.
 */
export async function readShellcheckRules(directory: string): Promise<ShellcheckRules> {
  for (let at = directory; ; at = dirname(at)) {
    for (const name of NAMES) {
      const reading = await readSourceFile(join(at, name), { bytesMax: RC_BYTES_MAX });
      if ('bytes' in reading) return rulesOf(reading.bytes.toString());
    }
    if (dirname(at) === at) return rulesOf('');
  }
}

function rulesOf(text: string): ShellcheckRules {
  const words = (key: string): string[] =>
    text.split('\n').flatMap((line) => {
      const [, name, value = ''] = /^\s*([a-z-]+)=([^#\s]*)/.exec(line) ?? [];
      return name === key ? value.replaceAll(/["']/g, '').split(',') : [];
    });
  const ranges = words('disable').flatMap((word) => {
    const [all, from, to = from] = DISABLED.exec(word) ?? [];
    if (all === undefined) return [];
    return [from === undefined ? { from: 0, to: Infinity } : { from: Number(from), to: Number(to) }];
  });
  return {
    enabled: words('enable').filter((word) => ENABLED.test(word)),
    isDisabled: (code) => ranges.some(({ from, to }) => from <= code && code <= to),
  };
}
