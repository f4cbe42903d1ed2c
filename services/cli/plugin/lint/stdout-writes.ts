import { createLineIndex } from '../../../shared/files/line-index.js';
import { maskShell } from './mask-shell.js';

const WRITE =
  /(?:^|[;&|{()!]|\b(?:then|do|else|elif|if|while))[ \t]*(?:echo|printf)\b((?:>&|&>|[^;|&\n])*)(\|(?!\|))?/gm;
const OPENS =
  /(?:^|[;&|({!]|\b(?:then|do|else))[ \t]*(?:(?:function[ \t]+)?([A-Za-z_][\w-]*)[ \t]*\(\)\s*)?(\{|\bif\b|\bcase\b|\b(?:for|while|until)\b)/gm;
const CLOSES = /(?:^|[;&|(]|[ \t])(\}|fi\b|esac\b|done\b)([^;\n]*)/gm;
/** More of a script is not looked at: what is found is a hint, and scripts may come from anybody. */
const SCRIPT_CHARS_MAX = 128 * 1024;
const WRITES_MAX = 100;
const FUNCTIONS_MAX = 100;
const EXEC_ELSEWHERE = /^[ \t]*exec\b[^\n]*1?>/m;

/** A block of the script whose output may go elsewhere than to standard output. */
interface Block {
  readonly from: number;
  readonly to: number;
  readonly isRedirected: boolean;
  readonly functionName: string | undefined;
}

/** Braces, loops, conditions and functions with their ends. */
function blocksOf(masked: string): Block[] {
  const marks = [
    ...[...masked.matchAll(OPENS)].map((match) => ({ match, opens: true })),
    ...[...masked.matchAll(CLOSES)].map((match) => ({ match, opens: false })),
  ].toSorted((a, b) => a.match.index - b.match.index);
  const open: { from: number; functionName: string | undefined }[] = [];
  const blocks: Block[] = [];
  for (const { match, opens } of marks) {
    if (opens) {
      open.push({ from: match.index, functionName: match[1] });
      continue;
    }
    const begun = open.pop();
    if (begun !== undefined) {
      blocks.push({
        ...begun,
        to: match.index,
        isRedirected: /[>|]/.test((match[2] ?? '').replace('||', '')),
      });
    }
  }
  return blocks;
}

/** Whether the output of a function is taken or sent elsewhere at some place where it is called. */
function isCaptured(script: string, name: string): boolean {
  const call = name.replaceAll('-', '\\-');
  return new RegExp(
    `[$<]\\([^)]{0,200}\\b${call}\\b|\`[^\`]*\\b${call}\\b|^[^#\\n]{0,200}\\b${call}\\b[^\\n(]{0,200}(?:>|\\|(?!\\|))`,
    'm',
  ).test(script);
}

/** The same answers, each asked for once; `beyond` for what comes after `textsMax` of them. */
function remembering(
  ask: (text: string) => boolean,
  textsMax: number,
  beyond: boolean,
): (text: string) => boolean {
  const answers = new Map<string, boolean>();
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined || answers.size === textsMax) return known ?? beyond;
    const answer = ask(text);
    answers.set(text, answer);
    return answer;
  };
}

/**
 * Lines of a Bash plugin whose `echo` or `printf` seems to go to standard output, which must hold nothing but the answer. A
 * guess: it knows redirections, pipes, substitutions and functions whose output is taken.
 */
export function findStdoutWrites(wholeScript: string): number[] {
  const script = wholeScript.slice(0, SCRIPT_CHARS_MAX);
  const masked = maskShell(script);
  const blocks = blocksOf(masked);
  const elsewhere = EXEC_ELSEWHERE.exec(masked)?.index ?? Infinity;
  const isTaken = remembering((name) => isCaptured(script, name), FUNCTIONS_MAX, true);
  const lineOf = createLineIndex(script);
  return [...masked.matchAll(WRITE)]
    .slice(0, WRITES_MAX)
    .filter(({ 1: rest = '', 2: pipe, index }) => {
      if (pipe === '|' || rest.includes('>') || /^\s+-v\b/.test(rest) || index > elsewhere) return false;
      return !blocks.some(
        ({ from, to, isRedirected, functionName }) =>
          from <= index &&
          index < to &&
          (isRedirected || (functionName !== undefined && isTaken(functionName))),
      );
    })
    .map(({ 0: text, index }) => lineOf(index + text.search(/echo|printf/)));
}
