import { execFile } from 'node:child_process';
import { delimiter, isAbsolute } from 'node:path';
import type { ShellcheckRules } from './shellcheck-rules.js';

const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;
/** More findings than this nobody reads, and scripts may come from anybody. */
const FINDINGS_MAX = 1000;
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
const ASSIGNMENT = /\b(\w+)(?:\[[^\]\n]{0,200}\])?\+?=/g;
const DECLARATION = /\b(?:declare|local|read|mapfile)\b([^\n;]*)/g;
const USE = /\$\{?[#!]?(\w+)/g;
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
  const setByLibrary = namesPerScript(scripts, (text) =>
    [...text.matchAll(ASSIGNED_BY_LIBRARY)].map(([, name = '']) => name),
  );
  const assigned = namesPerScript(scripts, (text) => [
    ...[...text.matchAll(ASSIGNMENT)].map(([, name = '']) => name),
    ...[...text.matchAll(DECLARATION)].flatMap(([, words = '']) => words.match(/\w+/g) ?? []),
  ]);
  const used = namesPerScript(scripts, (text) => [...text.matchAll(USE)].map(([, name = '']) => name));
  const isIn = (names: ReadonlyMap<string, ReadonlySet<string>>, name: string, notIn: string): boolean =>
    [...names].some(([path, those]) => path !== notIn && those.has(name));
  return findings.filter(({ file, message }) => {
    const unassigned = UNASSIGNED.exec(message)?.[1];
    if (unassigned !== undefined) {
      if (tasks.has(file) && GIVEN_TO_TASKS.test(unassigned)) return false;
      return !(setByLibrary.get(file)?.has(unassigned) ?? false) && !isIn(assigned, unassigned, file);
    }
    const unused = UNUSED.exec(message)?.[1];
    return unused === undefined || !isIn(used, unused, file);
  });
}

function namesPerScript(
  scripts: ReadonlyMap<string, string>,
  namesOf: (text: string) => readonly string[],
): Map<string, ReadonlySet<string>> {
  return new Map([...scripts].map(([path, text]) => [path, new Set(namesOf(text))]));
}

/**
 * Asks shellcheck about these scripts of the bundle in `root`. Answers with a sentence part instead if it could not be asked.
 * It runs nothing of the scripts, and reads no file but them.
 */
export function runShellcheck(
  root: string,
  scripts: readonly string[],
  rules: ShellcheckRules,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ShellcheckFinding[] | string> {
  if (scripts.length === 0) return Promise.resolve([]);
  const enabled = rules.enabled.length === 0 ? [] : [`--enable=${rules.enabled.join(',')}`];
  // Looked for from within the bundle, a relative directory would be one of the bundle's.
  const path = env['PATH']?.split(delimiter).filter(isAbsolute).join(delimiter);
  return new Promise((resolve) => {
    execFile(
      'shellcheck',
      ['--norc', '--format=json1', `--exclude=${IGNORED_RULES}`, ...enabled, '--', ...scripts],
      { cwd: root, env: { ...env, PATH: path }, timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error?.code === 'ENOENT') return resolve('is not installed');
        try {
          const { comments } = JSON.parse(stdout) as { comments: readonly Comment[] };
          const heard = comments.filter(({ code }) => !rules.isDisabled(code));
          return resolve(heard.slice(0, FINDINGS_MAX).map(findingOf));
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
