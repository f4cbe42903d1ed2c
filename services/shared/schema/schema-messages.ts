import type { Fault, FaultPath } from '../fault.js';
import { FAULTS_LISTED_MAX, pathOfPointer, quoted } from '../fault.js';
import type { ValueLocation } from './schema-source.js';
import { didYouMean } from '../suggest.js';

/** What the schema engine says about one broken rule; the part of its error object that is used here. */
export interface RuleBreach {
  readonly keyword: string;
  /** JSON pointer into the value. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** The name that broke a rule under propertyNames. */
  readonly propertyName?: string;
  readonly parentSchema?: Readonly<Record<string, unknown>>;
}

const ALLOWED_CHARS_MAX = 300;

// These only say that a nested rule was broken, and the nested rule speaks for itself.
const ECHOES = new Set(['if', 'propertyNames']);

/**
 * Turns what the engine found into at most 20 distinct faults. Says what would be right and never what was sent; inside a value
 * marked `writeOnly` not even its names are shown, and the path ends at that value.
 */
export function describeBreaches(
  breaches: readonly RuleBreach[],
  value: unknown,
  secretLocations: readonly ValueLocation[],
): Fault[] {
  const faults = new Map<string, Fault>();
  for (const breach of breaches) {
    if (ECHOES.has(breach.keyword)) continue;
    const fault = describeBreach(breach, value, secretLocations);
    const key = JSON.stringify(fault);
    if (!faults.has(key)) faults.set(key, fault);
    if (faults.size === FAULTS_LISTED_MAX) break;
  }
  return [...faults.values()];
}

function describeBreach(breach: RuleBreach, value: unknown, secrets: readonly ValueLocation[]): Fault {
  const path = pathInto(value, breach.instancePath);
  const secretDepth = depthOfSecret(path, secrets);
  if (secretDepth !== undefined) return { path: path.slice(0, secretDepth), ...describeSecret(breach) };
  if (breach.propertyName !== undefined) {
    const rule = describeRule(breach).description;
    return {
      path: [...path, breach.propertyName],
      reason: 'NAME',
      description: `is not an allowed name: it ${rule}`,
    };
  }
  const named = nameIn(breach);
  return { path: named === undefined ? path : [...path, named], ...describeRule(breach) };
}

/** The property that a rule about the object around it is really about. */
function nameIn({ keyword, params }: RuleBreach): string | undefined {
  const name =
    keyword === 'required' || keyword === 'dependentRequired'
      ? params['missingProperty']
      : (params['additionalProperty'] ?? params['unevaluatedProperty']);
  return typeof name === 'string' ? name : undefined;
}

function describeSecret(breach: RuleBreach): Omit<Fault, 'path'> {
  if (breach.propertyName !== undefined)
    return { reason: 'NAME', description: 'holds a name that is not allowed' };
  const { reason, description } = describeRule(breach);
  if (reason === 'UNKNOWN') return { reason, description: 'holds a name that is not known' };
  const name = nameIn(breach);
  return { reason, description: name === undefined ? description : `must hold ${quoted(name)}` };
}

function describeRule(breach: RuleBreach): Omit<Fault, 'path'> {
  const { keyword, params } = breach;
  const limit = Number(params['limit']);
  switch (keyword) {
    case 'type':
      return { reason: 'TYPE', description: `must be ${typeNames(params['type'])}` };
    case 'required':
      return { reason: 'REQUIRED', description: 'is required' };
    case 'dependentRequired':
      return {
        reason: 'REQUIRED',
        description: `is required together with ${quoted(String(params['property']))}`,
      };
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return { reason: 'UNKNOWN', description: `is not known${nearName(breach)}` };
    case 'enum':
      return { reason: 'ENUM', description: `must be one of ${allowed(params['allowedValues'])}` };
    case 'const':
      return { reason: 'CONST', description: `must be ${allowed([params['allowedValue']])}` };
    case 'pattern':
      return { reason: 'PATTERN', description: `must match the pattern ${String(params['pattern'])}` };
    case 'format':
      return { reason: 'FORMAT', description: `must be a valid ${String(params['format'])}` };
    case 'minimum':
      return { reason: 'MINIMUM', description: `must be ${limit} or more` };
    case 'maximum':
      return { reason: 'MAXIMUM', description: `must be ${limit} or less` };
    case 'exclusiveMinimum':
      return { reason: 'MINIMUM', description: `must be more than ${limit}` };
    case 'exclusiveMaximum':
      return { reason: 'MAXIMUM', description: `must be less than ${limit}` };
    case 'multipleOf':
      return { reason: 'MULTIPLE_OF', description: `must be a multiple of ${String(params['multipleOf'])}` };
    case 'minLength':
      return { reason: 'MIN_LENGTH', description: `must have at least ${count(limit, 'character')}` };
    case 'maxLength':
      return { reason: 'MAX_LENGTH', description: `must have at most ${count(limit, 'character')}` };
    case 'minItems':
      return { reason: 'MIN_ITEMS', description: `must have at least ${count(limit, 'item')}` };
    case 'maxItems':
    case 'items':
    case 'unevaluatedItems':
      return { reason: 'MAX_ITEMS', description: `must have at most ${count(limit, 'item')}` };
    case 'uniqueItems':
      return {
        reason: 'UNIQUE_ITEMS',
        description: `must not hold the same item twice (${samePlaces(params)})`,
      };
    case 'minProperties':
      return { reason: 'MIN_PROPERTIES', description: `must have at least ${count(limit, 'property')}` };
    case 'maxProperties':
      return { reason: 'MAX_PROPERTIES', description: `must have at most ${count(limit, 'property')}` };
    case 'contains':
      return { reason: 'CONTAINS', description: `must hold ${containsCount(params)} that fit` };
    case 'anyOf':
      return { reason: 'ANY_OF', description: 'must fit at least one of the allowed forms' };
    case 'oneOf':
      return {
        reason: 'ONE_OF',
        description: `must fit exactly one of the allowed forms, and fits ${Array.isArray(params['passingSchemas']) ? 'several' : 'none'}`,
      };
    case 'not':
      return { reason: 'NOT', description: 'has a form that is not allowed' };
    default:
      return {
        reason: keyword.replace(/[A-Z]/g, '_$&').toUpperCase().replaceAll(' ', '_'),
        description: 'is not allowed here',
      };
  }
}

function nearName(breach: RuleBreach): string {
  const known = breach.parentSchema?.['properties'];
  const name = nameIn(breach);
  return typeof known === 'object' && known !== null && name !== undefined
    ? didYouMean(name, Object.keys(known))
    : '';
}

function typeNames(types: unknown): string {
  const names = (Array.isArray(types) ? types : [types]).map(String);
  return names
    .map((name) => (name === 'null' ? name : `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`))
    .join(' or ');
}

function allowed(values: unknown): string {
  const text = (Array.isArray(values) ? values : []).map((value) => JSON.stringify(value)).join(', ');
  return text.length <= ALLOWED_CHARS_MAX ? text : `${text.slice(0, ALLOWED_CHARS_MAX)}…`;
}

function count(limit: number, noun: 'character' | 'item' | 'property'): string {
  if (limit === 1) return `1 ${noun}`;
  return `${limit} ${noun === 'property' ? 'properties' : `${noun}s`}`;
}

function containsCount(params: RuleBreach['params']): string {
  const [min, max] = [params['minContains'], params['maxContains']];
  return max === undefined
    ? `at least ${count(Number(min), 'item')}`
    : `${String(min)} to ${count(Number(max), 'item')}`;
}

function samePlaces(params: RuleBreach['params']): string {
  const [i, j] = [Number(params['i']), Number(params['j'])];
  return `${Math.min(i, j)} and ${Math.max(i, j)}`;
}

/** The pointer's parts, numbers where the value has an array. */
function pathInto(value: unknown, pointer: string): FaultPath {
  let at = value;
  return pathOfPointer(pointer).map((part) => {
    const inArray = Array.isArray(at);
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[part] : undefined;
    return inArray ? Number(part) : part;
  });
}

/** How many leading parts of the path lead to the outermost secret around it. */
function depthOfSecret(path: FaultPath, secrets: readonly ValueLocation[]): number | undefined {
  const depths = secrets
    .filter((secret) => secret.length <= path.length)
    .filter((secret) => secret.every((part, index) => part === null || part === String(path[index])))
    .map((secret) => secret.length);
  return depths.length === 0 ? undefined : Math.min(...depths);
}
