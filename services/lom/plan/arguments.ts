import type { Action } from '../../shared/bundle/action.js';
import type { ArgumentPart, ArgumentWord } from '../../shared/bundle/argument-template.js';
import type { Fault } from '../../shared/fault.js';
import { toValidationError } from '../../shared/fault.js';
import { PARAMS_ROOT, refuseParams } from './params.js';

/** All arguments of a plugin together, each with the byte that ends it. */
const ARGUMENTS_BYTES_MAX = 64 * 1024;

/** What decides whether the next argument may begin with "-". */
interface Before {
  /** The last argument stands in the manifest and looks like an option that takes a value. */
  isOption: boolean;
  /** "--" stands among the arguments: what follows is no option. */
  hasEnded: boolean;
}

/**
 * The arguments that an action's plugin gets for these parameters, which were checked and filled with their defaults. Throws
 * INVALID_PARAMS for a value that no argument can carry, or that the program would take for an option.
 */
export function resolveArguments(action: Action, params: Readonly<Record<string, unknown>>): string[] {
  const words: string[] = [];
  const faults: Fault[] = [];
  const before: Before = { isOption: false, hasEnded: false };
  for (const { when, words: templates } of action.arguments) {
    if (when !== undefined && !isGiven(valueOf(params, when))) continue;
    for (const template of templates) {
      for (const resolved of resolveWord(template, params)) {
        faults.push(...faultsOf(resolved, before));
        words.push(resolved.word);
        const isFixed = template[0] !== undefined && 'text' in template[0];
        // After --name=value comes no value of that option.
        before.isOption = isFixed && /^-(?!$|-[^=]*=)/.test(resolved.word);
        before.hasEnded ||= isFixed && resolved.word === '--';
      }
    }
  }
  if (words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0) > ARGUMENTS_BYTES_MAX) {
    const description = `make arguments of more than ${ARGUMENTS_BYTES_MAX} bytes`;
    faults.push({ path: [], reason: 'SIZE', description });
  }
  refuseParams(
    faults.map((fault) => toValidationError(PARAMS_ROOT, fault)),
    action,
  );
  return words;
}

/** One argument, and where in the parameters it comes from: the first of its values. */
interface ResolvedWord {
  readonly word: string;
  readonly path: readonly (string | number)[];
  /** A value of the caller's stands at its start. */
  readonly beginsWithValue: boolean;
  /** A parameter that is null stands in it. */
  readonly holdsNull: boolean;
}

function resolveWord(template: ArgumentWord, params: Readonly<Record<string, unknown>>): ResolvedWord[] {
  const [only] = template;
  if (template.length === 1 && only !== undefined && 'parameter' in only) {
    const name = only.parameter;
    const value = valueOf(params, name);
    const items = Array.isArray(value) ? (value as unknown[]) : undefined;
    return (items ?? [value]).map((item, index) => ({
      word: textOf(item),
      path: items === undefined ? [name] : [name, index],
      beginsWithValue: true,
      holdsNull: !isThere(item),
    }));
  }
  const named = template.flatMap((part) => ('parameter' in part ? [part.parameter] : []));
  const textOfPart = (part: ArgumentPart): string =>
    'text' in part ? part.text : textOf(valueOf(params, part.parameter));
  return [
    {
      word: template.map(textOfPart).join(''),
      path: named.slice(0, 1),
      beginsWithValue: only !== undefined && 'parameter' in only,
      holdsNull: named.some((name) => !isThere(valueOf(params, name))),
    },
  ];
}

function faultsOf({ word, path, beginsWithValue, holdsNull }: ResolvedWord, before: Before): Fault[] {
  const faults: Fault[] = [];
  if (holdsNull)
    faults.push({ path, reason: 'TYPE', description: 'must not be null: it becomes an argument' });
  if (word.includes('\0')) {
    faults.push({ path, reason: 'NUL', description: 'holds a NUL character, which no argument can carry' });
  }
  if (beginsWithValue && word.startsWith('-') && !before.isOption && !before.hasEnded) {
    const description = 'must not begin with "-": the program would take it for an option';
    faults.push({ path, reason: 'OPTION', description });
  }
  return faults;
}

function valueOf(params: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(params, name) ? params[name] : undefined;
}

const isThere = (value: unknown): boolean => value !== undefined && value !== null;

function isGiven(value: unknown): boolean {
  return isThere(value) && value !== false && !(Array.isArray(value) && value.length === 0);
}

/** Text as it is, everything else as JSON. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : JSON.stringify(value);
}
