import { RuneError } from '../../shared/errors.js';
import { didYouMean } from '../../shared/suggest.js';

const REFERENCES_MAX = 8;
const SHOWN_CHARS_MAX = 80;
const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

type Schema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The schema a local reference ("#/$defs/port") leads to. Anything else, and a circle, is a schema that says nothing. */
function resolve(schema: unknown, root: Schema): Schema {
  let current = schema;
  for (let step = 0; step < REFERENCES_MAX; step += 1) {
    if (!isSchema(current)) return {};
    const reference = current['$ref'];
    if (typeof reference !== 'string') return current;
    if (!reference.startsWith('#/')) return {};
    current = reference
      .slice(2)
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>(
        (from, part) => (isSchema(from) && Object.hasOwn(from, part) ? from[part] : undefined),
        root,
      );
  }
  return {};
}

/** What the input schema says of one parameter, as it stands there. */
function propertyOf(inputSchema: unknown, key: string): Schema {
  if (!isSchema(inputSchema)) return {};
  const { properties } = resolve(inputSchema, inputSchema);
  const property = isSchema(properties) && Object.hasOwn(properties, key) ? properties[key] : undefined;
  return isSchema(property) ? property : {};
}

const schemaOf = (inputSchema: unknown, key: string): Schema =>
  isSchema(inputSchema) ? resolve(propertyOf(inputSchema, key), inputSchema) : {};

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;

function typesOf(schema: Schema): readonly string[] {
  const { type, enum: values } = schema;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((one): one is string => typeof one === 'string');
  if (Array.isArray(values)) return [...new Set(values.map(typeOf))];
  return 'const' in schema ? [typeOf(schema['const'])] : [];
}

function jsonOf(text: string, type: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeOf(value) === type ? value : undefined;
  } catch {
    return undefined; // Not JSON, so not of this type: the caller says so, naming the parameter.
  }
}

/** The text as a value of `type`, or undefined if it is not one. */
const CONVERT: Readonly<Record<string, (text: string) => unknown>> = {
  integer: (text) => (INTEGER.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined),
  number: (text) => (NUMBER.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined),
  boolean: (text) => ({ true: true, false: false })[text],
  null: (text) => (text === 'null' ? null : undefined),
  array: (text) => jsonOf(text, 'array'),
  object: (text) => jsonOf(text, 'object'),
};

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  array: 'a JSON array',
  object: 'a JSON object',
};

/** Where a value comes from, for messages about it. */
export interface ValueOrigin {
  readonly action: string;
  /** The value, or the file it was read from, as it was written; a secret is never shown. */
  readonly shown: string;
}

function refuse(
  inputSchema: unknown,
  key: string,
  types: readonly string[],
  { action, shown }: ValueOrigin,
): never {
  // A list or an object may hold a secret further down.
  const hidden = isSecret(inputSchema, key) || types.includes('array') || types.includes('object');
  const cut = shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown;
  const value = hidden ? '' : `=${cut}`;
  throw new RuneError(
    'COMMAND_INVALID',
    `--param ${key}${value}: the action wants ${types.map((type) => EXPECTED[type]).join(' or ')}. ` +
      `See: rune actions show ${action}`,
  );
}

/**
 * A parameter's text as the value that the action's input schema asks for. Text stays text where the schema allows a string or
 * says nothing. Throws COMMAND_INVALID naming the parameter, and its value unless that is a secret.
 */
export function convertValue(inputSchema: unknown, key: string, text: string, origin: ValueOrigin): unknown {
  const types = typesOf(schemaOf(inputSchema, key)).filter((type) => type in EXPECTED);
  if (types.length === 0 || types.includes('string')) return text;
  for (const type of types) {
    const value = CONVERT[type]?.(text);
    if (value !== undefined) return value;
  }
  return refuse(inputSchema, key, types, origin);
}

/** The JSON value itself. Throws like `convertValue` where the action's input schema asks for another type. */
export function checkType(inputSchema: unknown, key: string, value: unknown, origin: ValueOrigin): unknown {
  const types = typesOf(schemaOf(inputSchema, key)).filter((type) => type in EXPECTED);
  const fits = (type: string) => (type === 'integer' ? Number.isInteger(value) : typeOf(value) === type);
  return types.length === 0 || types.some(fits) ? value : refuse(inputSchema, key, types, origin);
}

/** Throws COMMAND_INVALID for a parameter that the action's input schema does not allow, with the one that was meant. */
export function requireKnown(inputSchema: unknown, key: string, action: string): void {
  if (!isSchema(inputSchema)) return;
  const { properties, patternProperties, additionalProperties } = resolve(inputSchema, inputSchema);
  if (additionalProperties !== false || patternProperties !== undefined || !isSchema(properties)) return;
  if (Object.hasOwn(properties, key)) return;
  throw new RuneError(
    'COMMAND_INVALID',
    `--param ${key}: ${action} has no such parameter${didYouMean(key, Object.keys(properties)) || '.'} ` +
      `See: rune actions show ${action}`,
  );
}

/** Whether the action's input schema marks the parameter as a secret (`writeOnly: true`). */
export function isSecret(inputSchema: unknown, key: string): boolean {
  return [propertyOf(inputSchema, key), schemaOf(inputSchema, key)].some(
    ({ writeOnly }) => writeOnly === true,
  );
}
