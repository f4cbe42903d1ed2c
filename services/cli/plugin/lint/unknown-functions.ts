import { didYouMean } from '../../../shared/suggest.js';
import { createLineIndex } from '../../../shared/files/line-index.js';

const DEFINITION = /^[ \t]*(?:function[ \t]+)?(rune_\w+)[ \t]*\(\)/gm;
const COMMENT = /^[ \t]*#.*$/gm;
const USE = /(?<![\w$./={-])rune_\w+(?![\w=(])/g;

/** Functions of the library's kind that a script defines. */
export function definedFunctions(script: string): string[] {
  return [...script.matchAll(DEFINITION)].map(([, name = '']) => name);
}

/**
 * Uses of functions that are not `known` and are named almost as one that is: each with its line and a question. Names that
 * are like none are left alone, because they may be no functions.
 */
export function findUnknownFunctions(
  script: string,
  known: ReadonlySet<string>,
): { line: number; what: string }[] {
  const code = script.replaceAll(COMMENT, (comment) => ' '.repeat(comment.length));
  const lineOf = createLineIndex(code);
  return [...code.matchAll(USE)]
    .filter(([name]) => !known.has(name))
    .map(({ 0: name, index }) => ({ line: lineOf(index), name, near: didYouMean(name, known) }))
    .filter(({ near }) => near !== '')
    .map(({ line, name, near }) => ({ line, what: `${name} is no function of the library${near}` }));
}
