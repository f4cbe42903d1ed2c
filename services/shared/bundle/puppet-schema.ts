import { compileLinearPattern } from '../schema/linear-pattern.js';
import type { PuppetArgument, PuppetType } from './puppet-type.js';

type Schema = Readonly<Record<string, unknown>>;

/** A schema that accepts everything: also what stands for a type that is not known here. */
const ANY: Schema = {};
const NULL: Schema = { type: 'null' };
const SCALARS: readonly Schema[] = [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }];

const CONVERSIONS: Readonly<Record<string, (args: readonly PuppetArgument[]) => Schema>> = {
  String: (args) => ({ type: 'string', ...range(args, 'minLength', 'maxLength') }),
  Integer: (args) => ({ type: 'integer', ...range(args, 'minimum', 'maximum') }),
  Float: (args) => ({ type: 'number', ...range(args, 'minimum', 'maximum') }),
  Numeric: () => ({ type: 'number' }),
  Boolean: ([only]) => (only?.kind === 'boolean' ? { const: only.value } : { type: 'boolean' }),
  Enum: enumeration,
  Pattern: (args) => anyOf(args.map(patternSchema)),
  Optional: ([inner]) => nullable(inner === undefined ? ANY : schemaOf(inner)),
  NotUndef: ([inner]) => (inner === undefined ? ANY : schemaOf(inner)),
  Sensitive: ([inner]) => ({ ...(inner === undefined ? ANY : schemaOf(inner)), writeOnly: true }),
  Variant: (args) => anyOf(args.map(schemaOf)),
  Undef: () => NULL,
  Scalar: () => anyOf(SCALARS),
  ScalarData: () => anyOf(SCALARS),
  Array: array,
  Hash: hash,
  Struct: struct,
  Tuple: tuple,
};

/** The JSON Schema that accepts what a Puppet type accepts; everything where the type is not known. */
export function puppetSchema({ name, args }: PuppetType): Schema {
  return Object.hasOwn(CONVERSIONS, name) ? (CONVERSIONS[name]?.(args) ?? ANY) : ANY;
}

/** Whether a value of this type may be left out: also of a type that is not known here. */
export function acceptsUndef({ name, args }: PuppetType): boolean {
  if (name === 'Optional' || name === 'Undef') return true;
  if (name === 'Variant')
    return args.length === 0 || args.some((arg) => arg.kind === 'type' && acceptsUndef(arg.type));
  if (name === 'Sensitive') return args.some((arg) => arg.kind === 'type' && acceptsUndef(arg.type));
  return name !== 'NotUndef' && !Object.hasOwn(CONVERSIONS, name);
}

function schemaOf(arg: PuppetArgument): Schema {
  if (arg.kind === 'type') return puppetSchema(arg.type);
  return arg.kind === 'text' ? { const: arg.value } : ANY;
}

/** Up to two numbers as lower and upper bound; `default` stands for none. */
function range(args: readonly PuppetArgument[], least: string, most: string): Schema {
  const [low, high] = args.filter(({ kind }) => kind === 'number' || kind === 'default');
  return {
    ...(low?.kind === 'number' ? { [least]: low.value } : {}),
    ...(high?.kind === 'number' ? { [most]: high.value } : {}),
  };
}

function enumeration(args: readonly PuppetArgument[]): Schema {
  const values = args.flatMap((arg) => (arg.kind === 'text' ? [arg.value] : []));
  // Enum['a', true] means "in capitals or not", which JSON Schema cannot say.
  const isExact = args.length > 0 && values.length === args.length;
  return { type: 'string', ...(isExact ? { enum: [...new Set(values)] } : {}) };
}

/** Ruby's ends of the text become those of ECMAScript; a pattern that cannot be matched in linear time says nothing. */
function patternSchema(arg: PuppetArgument): Schema {
  const ruby = arg.kind === 'pattern' ? arg.source : arg.kind === 'text' ? arg.value : undefined;
  if (ruby === undefined) return { type: 'string' };
  const pattern = ruby.replace(/\\([^])/g, (pair, letter: string) => RUBY_ESCAPES[letter] ?? pair);
  try {
    compileLinearPattern(pattern);
    return { type: 'string', pattern };
  } catch {
    // Better to let a value through, which the task looks at itself, than to refuse a good one.
    return { type: 'string' };
  }
}

const RUBY_ESCAPES: Readonly<Record<string, string>> = { A: '^', z: '$', Z: '$', h: '[0-9a-fA-F]' };

function array(args: readonly PuppetArgument[]): Schema {
  const [first] = args;
  const items = first?.kind === 'type' ? puppetSchema(first.type) : ANY;
  const sized = { type: 'array', ...range(args, 'minItems', 'maxItems') };
  return items === ANY ? sized : { ...sized, items };
}

function hash(args: readonly PuppetArgument[]): Schema {
  const [key, value] = args.flatMap((arg) => (arg.kind === 'type' ? [puppetSchema(arg.type)] : []));
  return {
    type: 'object',
    ...range(args, 'minProperties', 'maxProperties'),
    ...(key?.['type'] === 'string' && Object.keys(key).length > 1 ? { propertyNames: key } : {}),
    ...(value === undefined || value === ANY ? {} : { additionalProperties: value }),
  };
}

function struct([members]: readonly PuppetArgument[]): Schema {
  if (members?.kind !== 'members') return { type: 'object' };
  const properties: [string, Schema][] = [];
  const required: string[] = [];
  for (const [key, value] of members.members) {
    const wrapped = key.kind === 'type' ? key.type.args[0] : undefined;
    const name = wrapped ?? key;
    if (name.kind !== 'text') return { type: 'object' };
    properties.push([name.value, schemaOf(value)]);
    const isOptional = key.kind === 'type' && key.type.name === 'Optional';
    if (!isOptional && !(value.kind === 'type' && acceptsUndef(value.type))) required.push(name.value);
  }
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
  };
}

function tuple(args: readonly PuppetArgument[]): Schema {
  const items = args.flatMap((arg) => (arg.kind === 'type' ? [puppetSchema(arg.type)] : []));
  if (items.length === 0) return { type: 'array' };
  if (items.length < args.length)
    return { type: 'array', ...range(args, 'minItems', 'maxItems'), items: anyOf(items) };
  const count = items.length;
  return { type: 'array', prefixItems: items, items: false, minItems: count, maxItems: count };
}

function anyOf(choices: readonly Schema[]): Schema {
  const [only] = choices;
  if (only === undefined || choices.some((choice) => Object.keys(choice).length === 0)) return ANY;
  return choices.length === 1 ? only : { anyOf: choices };
}

/** The same, and null: in the form that says its type plainly, where there is one. */
function nullable(schema: Schema): Schema {
  const { type, enum: values } = schema;
  if (Object.keys(schema).length === 0) return ANY;
  if (typeof type !== 'string') return { anyOf: [schema, NULL] };
  return {
    ...schema,
    type: [type, 'null'],
    ...(Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {}),
  };
}
