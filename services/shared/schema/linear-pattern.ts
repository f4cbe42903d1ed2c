import { RE2JS } from 're2js';

const PATTERN_CHARS_MAX = 1000;
const PROGRAM_STEPS_MAX = 1000;

/** A compiled regular expression whose time grows linearly with the text. */
export interface LinearPattern {
  test(text: string): boolean;
  /** The pattern's text: the schema engine takes two patterns with the same text for one. */
  toString(): string;
}

/**
 * Compiles an ECMAScript regular expression for an engine that never backtracks. Throws an Error that says why a pattern
 * cannot be used: look-around and back-references have no linear form.
 */
export function compileLinearPattern(source: string): LinearPattern {
  if (source.length > PATTERN_CHARS_MAX) throw new Error(`it is longer than ${PATTERN_CHARS_MAX} characters`);
  let program: RE2JS;
  try {
    program = RE2JS.compile(RE2JS.translateRegExp(source));
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : 'unknown fault';
    throw new Error(message.replace(/^error parsing regexp: /, ''), { cause: thrown });
  }
  // Linear is not enough: each character of the text may cost as many steps as the program has.
  if (program.programSize() > PROGRAM_STEPS_MAX) throw new Error('its repetitions make it too large');
  return { test: (text) => program.test(text), toString: () => source };
}
