import { readFile, stat } from 'node:fs/promises';
import { parseKnownHosts, type KnownHosts, type KnownHostsFile } from './known-hosts.js';

/** A known_hosts file larger than this is refused. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** The mediator's known hosts, as they stand in the files at this moment. */
export interface KnownHostsSource {
  /** The same object until a file changes. A missing file counts as empty; one that cannot be read rejects. */
  current(): Promise<KnownHosts>;
}

export interface KnownHostsSettings {
  /** Asked for at each look: they may change. */
  readonly paths: () => Promise<readonly string[]>;
  /** How long an answer is used before the files are looked at again, in ms. */
  readonly recheckMs: number;
  /** Called with one sentence for each line that was skipped, at each reading. */
  readonly onFault: (message: string) => void;
}

/** Reads known_hosts files, again whenever the size or modification time of one has changed. */
export function readKnownHosts(settings: KnownHostsSettings): KnownHostsSource {
  let checkedAtMs = -Infinity;
  let stamp = '';
  let answer: Promise<KnownHosts> | undefined;

  const load = async (previous: Promise<KnownHosts> | undefined): Promise<KnownHosts> => {
    const paths = await settings.paths();
    const now = (await Promise.all(paths.map(stampOf))).join('\n');
    if (previous !== undefined && now === stamp) return previous;
    const known = parseKnownHosts(await Promise.all(paths.map(readOne)));
    stamp = now;
    for (const fault of known.faults) {
      settings.onFault(`${fault.path}:${fault.line} was skipped: ${fault.reason}`);
    }
    return known;
  };

  return {
    current() {
      const nowMs = performance.now();
      if (answer === undefined || nowMs - checkedAtMs >= settings.recheckMs) {
        checkedAtMs = nowMs;
        const next = load(answer);
        answer = next;
        // What cannot be read now is tried again by the next caller instead of being remembered.
        next.catch(() => {
          if (answer === next) answer = undefined;
        });
      }
      return answer;
    },
  };
}

async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${path} ${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if (isMissing(error)) return `${path} missing`;
    throw error;
  }
}

async function readOne(path: string): Promise<KnownHostsFile> {
  try {
    if ((await stat(path)).size > FILE_BYTES_MAX)
      throw new Error(`${path} is larger than ${FILE_BYTES_MAX} bytes`);
    return { path, text: await readFile(path, 'utf8') };
  } catch (error) {
    if (isMissing(error)) return { path, text: '' };
    throw error;
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';
