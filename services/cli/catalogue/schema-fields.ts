import { pathOfPointer } from '../../shared/fault.js';
import { escapeText } from '../render/escape-text.js';
import { renderTable } from '../render/table.js';

type Schema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

/** What a reference leads to in the same schema; undefined if it leads nowhere. */
function referred(root: Schema, reference: string): unknown {
  let at: unknown = root;
  for (const part of pathOfPointer(reference)) {
    at = isSchema(at) && Object.hasOwn(at, part) ? at[part] : undefined;
  }
  return at;
}

/** References are followed into `root`, and none of what they lead to: a schema may refer to itself. */
function typeWords(schema: unknown, root: Schema): string {
  if (!isSchema(schema)) return 'any';
  const { type, enum: values, const: constant, $ref: reference, anyOf, oneOf, items } = schema;
  if (type === undefined && typeof reference === 'string') return typeWords(referred(root, reference), {});
  const choices = [anyOf, oneOf].find((list) => Array.isArray(list));
  if (Array.isArray(choices)) return choices.map((one) => typeWords(one, root)).join(' or ');
  if (Array.isArray(values)) return `one of ${values.map(text).join(', ')}`;
  if (constant !== undefined) return text(constant);
  if (type === undefined) return 'any';
  if (type === 'array' && isSchema(items)) return `list of ${typeWords(items, root)}`;
  return Array.isArray(type) ? type.join(' or ') : text(type);
}

function notes(schema: Schema): string {
  const { description, default: preset, minimum, maximum, pattern, writeOnly } = schema;
  return [
    ...(typeof description === 'string' ? [description.replace(/\.$/, '')] : []),
    ...(writeOnly === true ? ['secret'] : []),
    ...(minimum === undefined ? [] : [`at least ${text(minimum)}`]),
    ...(maximum === undefined ? [] : [`at most ${text(maximum)}`]),
    ...(pattern === undefined ? [] : [`matches ${text(pattern)}`]),
    ...(preset === undefined ? [] : [`default ${text(preset)}`]),
  ].join('; ');
}

/** The fields that a JSON Schema of an object describes, as a table for people. */
export function schemaFields(schemaJson: string): string[] {
  let schema: unknown;
  try {
    schema = JSON.parse(schemaJson === '' ? '{}' : schemaJson);
  } catch {
    return ['(the schema is not valid JSON)']; // A service checks it, so this is a foreign one; the rest still helps.
  }
  const root = isSchema(schema) ? schema : {};
  const properties = root['properties'];
  if (!isSchema(properties) || Object.keys(properties).length === 0) return ['(none)'];
  const required = Array.isArray(root['required']) ? root['required'] : [];
  const rows = Object.entries(properties).map(([name, value]) => {
    const field = isSchema(value) ? value : {};
    return [name, typeWords(field, root), required.includes(name) ? 'required' : '', notes(field)].map(
      escapeText,
    );
  });
  return renderTable(
    ['NAME', 'TYPE', '', 'NOTES'].map((header) => ({ header })),
    rows,
  );
}
