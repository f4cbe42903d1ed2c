import { RuneError } from '../../shared/errors.js';

const REFERENCES_MAX = 8;
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

function schemaOf(inputSchema: unknown, key: string): Schema {
  if (!isSchema(inputSchema)) return {};
  const properties = resolve(inputSchema, inputSchema)['properties'];
  return isSchema(properties) && Object.hasOwn(properties, key) ? resolve(properties[key], inputSchema) : {};
}

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
    return undefined; // Not JSON, so not of this type: the caller says so, naming the parameter and never its value.
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
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  array: 'a JSON array',
  object: 'a JSON object',
};

/**
 * A parameter's text as the value that the action's input schema asks for. Text stays text where the schema allows a string or
 * says nothing. Throws COMMAND_INVALID naming the parameter, never its value: it may be a secret.
 */
export function convertValue(inputSchema: unknown, key: string, text: string): unknown {
  const types = typesOf(schemaOf(inputSchema, key)).filter((type) => type === 'string' || type in CONVERT);
  if (types.length === 0 || types.includes('string')) return text;
  for (const type of types) {
    const value = CONVERT[type]?.(text);
    if (value !== undefined) return value;
  }
  throw new RuneError(
    'COMMAND_INVALID',
    `--param ${key}: the action wants ${types.map((type) => EXPECTED[type]).join(' or ')}.`,
  );
}

/** Whether the action's input schema marks the parameter as a secret (`writeOnly: true`). */
export function isSecret(inputSchema: unknown, key: string): boolean {
  return schemaOf(inputSchema, key)['writeOnly'] === true;
}
