import { createLineIndex } from '../../../shared/files/line-index.js';

const EMPTY_ARRAY =
  'a bare "${a[@]}" of an empty array under set -u (4.4): write ${a[@]+"${a[@]}"} where it may be empty';
const SETS_NOUNSET = /^#![^\n]*\s-\w*u|\bset\s+(?:-\w+\s+)*-\w*u|\bnounset\b/;

/** What a node with bash 4.2 does not know, or reads otherwise. */
export const NEWER_THAN_4_2: Readonly<Record<string, RegExp>> = {
  'wait -n (4.3)': /\bwait\s+-\w*n/g,
  'a name reference (4.3)': /\b(?:local|declare|typeset)\s+-\w*n/g,
  'a transformation ${x@Q} (4.4)': /\$\{[\w[\]*@]+@[A-Za-z]\}/g,
  'mapfile -d (4.4)': /\b(?:mapfile|readarray)\b[^\n]{0,200}\s-d/g,
  'local - (4.4)': /\blocal\s+-\s*(?:[;\n]|$)/gm,
  'shopt inherit_errexit, localvar_* or patsub_replacement':
    /\b(?:inherit_errexit|localvar_\w+|patsub_replacement)\b/g,
  'EPOCHREALTIME, EPOCHSECONDS or SRANDOM (5.0, 5.1)': /\b(?:EPOCHREALTIME|EPOCHSECONDS|SRANDOM)\b/g,
  '[[ -v array[key] ]] (4.3)': /\[\[?\s+-v\s+\S*\[/g,
  'a negative subscript (4.3)': /\$\{\w+\[\s*-\d/g,
  // Before 4.4 set -u takes an empty array for an unset variable.
  [EMPTY_ARRAY]: /(?<!\+)"\$\{(?!__rune_q\b)\w+\[@\]\}"/g,
};

/**
 * Uses of syntax that bash 4.2, the oldest that plugins may meet, does not know: each with its line, in the order of the text.
 * A text without a first line for an interpreter is part of a script that may have said set -u.
 */
export function findNewerSyntax(script: string): { line: number; what: string }[] {
  const code = script.replaceAll(/^[ \t]*#(?!!).*$/gm, (comment) => comment.replaceAll(/[^\n]/g, ' '));
  const runsWithoutNounset = script.startsWith('#!') && !SETS_NOUNSET.test(code);
  const lineOf = createLineIndex(code);
  return Object.entries(NEWER_THAN_4_2)
    .filter(([what]) => what !== EMPTY_ARRAY || !runsWithoutNounset)
    .flatMap(([what, pattern]) =>
      [...code.matchAll(pattern)].map(({ index }) => ({ line: lineOf(index), what })),
    )
    .toSorted((a, b) => a.line - b.line);
}
