import { execFile } from 'node:child_process';

/** Parsing 1 MiB takes much less than a second. */
const TIMEOUT_MS = 10_000;
const MESSAGES_BYTES_MAX = 64 * 1024;
/** Scripts may switch extended patterns on, which a mere reader of the script does not see. */
const WAYS = [['-n'], ['-O', 'extglob', '-n']] as const;

/** Looks for syntax errors with the Bash of this host, which reads a script and runs nothing of it. */
export interface BashSyntax {
  /** The first syntax error with its line, or undefined if there is none or Bash could not say. */
  check(script: Buffer): Promise<string | undefined>;
  /** Why scripts could not be checked, if that is so. */
  readonly unavailable: string | undefined;
}

/** Makes the check; `command` is the Bash to ask. */
export function createBashSyntax(command = 'bash'): BashSyntax {
  let unavailable: string | undefined;

  /** What Bash says against the script; undefined if nothing. */
  const complaint = (options: readonly string[], script: Buffer): Promise<string | undefined> =>
    new Promise((resolve) => {
      const limits = { timeout: TIMEOUT_MS, maxBuffer: MESSAGES_BYTES_MAX };
      const env = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
      const child = execFile(command, options, { ...limits, env }, (error, _stdout, stderr) => {
        if (error === null) return resolve(undefined);
        if (typeof error.code === 'number') return resolve(stderr);
        unavailable ??= error.code ?? 'no answer';
        return resolve(undefined);
      });
      // A Bash that is not there, or has seen enough, does not read on; its exit tells all.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(script);
    });

  return {
    async check(script) {
      let first: string | undefined;
      for (const options of WAYS) {
        const said = await complaint(options, script);
        if (said === undefined) return undefined;
        first ??= said;
      }
      const [, line = '?', why = ''] = /line (\d+): (.*)/.exec(first ?? '') ?? [];
      return `has a syntax error in line ${line}${why === '' ? '' : `: ${why}`}`;
    },
    get unavailable() {
      return unavailable;
    },
  };
}
