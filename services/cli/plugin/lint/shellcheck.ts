import { execFile } from 'node:child_process';

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;
/** Sourced files that are not there: what the plugin finds beside itself on a node need not be where its author works. */
const IGNORED_RULES = 'SC1090,SC1091';

/** One of shellcheck's findings. */
export interface ShellcheckFinding {
  /** As it was given. */
  readonly file: string;
  readonly line: number;
  readonly isError: boolean;
  /** Such as SC2086. */
  readonly rule: string;
  readonly message: string;
}

interface Comment {
  readonly file: string;
  readonly line: number;
  readonly level: string;
  readonly code: number;
  readonly message: string;
}

/** What the functions of the shell library assign to, which shellcheck cannot know. */
const ASSIGNED_BY_LIBRARY = /\brune_(?:\w+\s+-v|json_\w+|param_list)\s+(\w+)/g;
const UNASSIGNED = /^(\w+) is referenced but not assigned/;
const UNUSED = /^(\w+) appears unused/;

/** Windows line ends, which it tells of every line. */
const CARRIAGE_RETURN = 'SC1017';
/** What a Bolt task finds in its environment; Bolt itself gives more names with two underscores. */
const GIVEN_TO_TASKS = /^PT_(?!_)|^PT__(?:task|noop)$/;

/** Tells of Windows line ends once a file. */
export function withoutRepetition(findings: readonly ShellcheckFinding[]): ShellcheckFinding[] {
  const told = new Set<string>();
  return findings.filter(({ file, rule }) => {
    if (rule !== CARRIAGE_RETURN) return true;
    const isFirst = !told.has(file);
    told.add(file);
    return isFirst;
  });
}

/**
 * Leaves out what only holds for a script by itself: a variable that a function of the library or another script sets, one that
 * another script uses, and the parameters of a Bolt task in a script of `tasks`. Following what a script sources would tell the
 * same in many times the time.
 */
export function withoutSharedVariables(
  findings: readonly ShellcheckFinding[],
  scripts: ReadonlyMap<string, string>,
  tasks: ReadonlySet<string> = new Set(),
): ShellcheckFinding[] {
  const othersThan = (file: string): string[] =>
    [...scripts].filter(([path]) => path !== file).map(([, text]) => text);
  return findings.filter(({ file, message }) => {
    const unassigned = UNASSIGNED.exec(message)?.[1];
    const unused = UNUSED.exec(message)?.[1];
    if (unassigned !== undefined) {
      if (tasks.has(file) && GIVEN_TO_TASKS.test(unassigned)) return false;
      const byLibrary = [...(scripts.get(file) ?? '').matchAll(ASSIGNED_BY_LIBRARY)];
      const assignment = new RegExp(
        `\\b${unassigned}(?:\\[[^\\]]*\\])?\\+?=|\\b(?:declare|local|read|mapfile)\\b[^\\n;]*\\b${unassigned}\\b`,
      );
      return (
        !byLibrary.some(([, name]) => name === unassigned) &&
        !othersThan(file).some((text) => assignment.test(text))
      );
    }
    const use = new RegExp(`\\$\\{?[#!]?${unused}\\b`);
    return unused === undefined || !othersThan(file).some((text) => use.test(text));
  });
}

/**
 * Asks shellcheck about these scripts of the bundle in `root`. Answers with a sentence part instead if it could not be asked.
 * It runs nothing of the scripts.
 */
export function runShellcheck(
  root: string,
  scripts: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<ShellcheckFinding[] | string> {
  if (scripts.length === 0) return Promise.resolve([]);
  return new Promise((resolve) => {
    execFile(
      'shellcheck',
      ['--format=json1', `--exclude=${IGNORED_RULES}`, '--', ...scripts],
      { cwd: root, env: { ...env }, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error?.code === 'ENOENT') return resolve('is not installed');
        try {
          const { comments } = JSON.parse(stdout) as { comments: readonly Comment[] };
          return resolve(comments.map(findingOf));
        } catch {
          return resolve(`gave no answer: ${stderr.trim().split('\n')[0] ?? ''}`);
        }
      },
    );
  });
}

function findingOf({ file, line, level, code, message }: Comment): ShellcheckFinding {
  return { file, line, isError: level === 'error', rule: `SC${code}`, message };
}
