import type { Fault, FaultPath } from './fault.js';
import { pathOfPointer } from './fault.js';
import { checkJsonBounds } from './json-bounds.js';
import { compileLinearPattern } from './linear-pattern.js';
import { didYouMean } from './suggest.js';

/** Bounds of one schema text; a schema beyond them compiles or validates too slowly to be let in. */
export const SCHEMA_LIMITS = {
  bytesMax: 64 * 1024,
  propertiesMax: 200,
  depthMax: 16,
  uniqueItemsMax: 1000,
  expandedSchemasMax: 10_000,
} as const;

/** The formats a schema may name: those whose check takes linear time. */
export const SCHEMA_FORMATS = [
  'date',
  'date-time',
  'duration',
  'email',
  'hostname',
  'ipv4',
  'ipv6',
  'json-pointer',
  'time',
  'uri',
  'uri-reference',
  'uuid',
] as const;

/** JSON Schema dialect that is served. */
export const SCHEMA_DIALECT = 'https://json-schema.org/draft/2020-12/schema';

const JSON_DEPTH_MAX = 64;

/** A place in the validated value; null stands for any property name or index. */
export type ValueLocation = readonly (string | null)[];

/** A schema within the limits, not yet compiled. */
export interface SchemaSource {
  readonly schema: Readonly<Record<string, unknown>>;
  /** Where values marked `writeOnly: true` may stand. */
  readonly secretLocations: readonly ValueLocation[];
}

type SchemaObject = Record<string, unknown>;

/** What stands under a keyword: one schema, a list of schemas, schemas by name, or plain data. */
type KeywordKind = 'schema' | 'list' | 'map' | 'data';

/** Where the value that a subschema describes stands, seen from the value of the schema around it. */
type Step = 'same' | 'any' | 'name' | 'none';

interface Keyword {
  readonly kind: KeywordKind;
  readonly step: Step;
}

const data: Keyword = { kind: 'data', step: 'none' };
const KEYWORDS: Readonly<Record<string, Keyword>> = {
  ...Object.fromEntries(
    [
      ...['$schema', '$id', '$comment', '$ref', 'title', 'description', 'default', 'examples', 'deprecated'],
      ...['readOnly', 'writeOnly', 'type', 'enum', 'const', 'format', 'pattern', 'minLength', 'maxLength'],
      ...['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'required'],
      ...[
        'minItems',
        'maxItems',
        'uniqueItems',
        'minContains',
        'maxContains',
        'minProperties',
        'maxProperties',
      ],
      ...['dependentRequired', 'contentEncoding', 'contentMediaType'],
    ].map((keyword) => [keyword, data]),
  ),
  $defs: { kind: 'map', step: 'none' },
  properties: { kind: 'map', step: 'name' },
  patternProperties: { kind: 'map', step: 'any' },
  dependentSchemas: { kind: 'map', step: 'same' },
  additionalProperties: { kind: 'schema', step: 'any' },
  unevaluatedProperties: { kind: 'schema', step: 'any' },
  propertyNames: { kind: 'schema', step: 'none' },
  items: { kind: 'schema', step: 'any' },
  unevaluatedItems: { kind: 'schema', step: 'any' },
  contains: { kind: 'schema', step: 'any' },
  prefixItems: { kind: 'list', step: 'any' },
  allOf: { kind: 'list', step: 'same' },
  anyOf: { kind: 'list', step: 'same' },
  oneOf: { kind: 'list', step: 'same' },
  not: { kind: 'schema', step: 'same' },
  if: { kind: 'schema', step: 'same' },
  then: { kind: 'schema', step: 'same' },
  else: { kind: 'schema', step: 'same' },
};
const NOT_SERVED = [
  '$anchor',
  '$dynamicRef',
  '$dynamicAnchor',
  '$vocabulary',
  '$async',
  'definitions',
  'dependencies',
];

interface Subschema {
  readonly path: FaultPath;
  readonly schema: unknown;
  readonly keyword: string;
  readonly step: Step;
  /** Property name for step 'name'. */
  readonly name: string;
}

/**
 * Reads a schema text and checks everything that must hold before it is compiled. Faults have the path inside the schema and
 * stand for: not JSON, too large, unknown keywords, references that leave the schema or come back to themselves, patterns that
 * have no linear form. With faults there is no source.
 */
export function readSchema(schemaJson: string): { source?: SchemaSource; faults: Fault[] } {
  const fault = (reason: string, description: string): { faults: Fault[] } => ({
    faults: [{ path: [], reason, description }],
  });
  if (Buffer.byteLength(schemaJson) > SCHEMA_LIMITS.bytesMax) {
    return fault('SIZE', `is larger than ${SCHEMA_LIMITS.bytesMax} bytes`);
  }
  let schema: unknown;
  try {
    schema = JSON.parse(schemaJson);
  } catch {
    return fault('NOT_JSON', 'is not JSON');
  }
  if (!isObject(schema)) return fault('TYPE', 'must be a JSON object');
  const beyond = checkJsonBounds(schema, { depthMax: JSON_DEPTH_MAX, bytesMax: Infinity });
  if (beyond.length > 0) return { faults: beyond };

  const faults: Fault[] = [];
  const known = new Set<unknown>();
  let properties = 0;
  visitAll(schema, (at, depth) => {
    if (typeof at.schema === 'boolean') return depth < SCHEMA_LIMITS.depthMax;
    if (!isObject(at.schema)) {
      faults.push({
        path: at.path,
        reason: 'TYPE',
        description: 'must be a schema: an object, true or false',
      });
      return false;
    }
    if (depth > SCHEMA_LIMITS.depthMax) {
      const description = `is nested deeper than ${SCHEMA_LIMITS.depthMax} schemas`;
      faults.push({ path: at.path, reason: 'DEPTH', description });
      return false;
    }
    known.add(at.schema);
    if (at.step === 'name' || at.keyword === 'patternProperties') properties += 1;
    checkKeywords(at.path, at.schema, faults);
    return true;
  });
  if (properties > SCHEMA_LIMITS.propertiesMax) {
    const description = `has ${properties} properties; at most ${SCHEMA_LIMITS.propertiesMax} are allowed`;
    faults.push({ path: [], reason: 'PROPERTIES', description });
  }
  checkReferences(schema, known, faults);
  if (faults.length > 0) return { faults };

  const secretLocations: ValueLocation[] = [];
  if (!expand(schema, secretLocations)) {
    const description = `stands for more than ${SCHEMA_LIMITS.expandedSchemasMax} schemas once its references are followed`;
    return fault('SIZE', description);
  }
  // The address of a schema has no meaning here, and two schemas may carry the same one.
  const { $id: _address, ...anonymous } = schema;
  return { source: { schema: anonymous, secretLocations }, faults: [] };
}

function checkKeywords(path: FaultPath, schema: SchemaObject, faults: Fault[]): void {
  const add = (keyword: string, reason: string, description: string): void => {
    faults.push({ path: [...path, keyword], reason, description });
  };
  for (const [keyword, value] of Object.entries(schema)) {
    if (NOT_SERVED.includes(keyword))
      add(keyword, 'NOT_SUPPORTED', 'is not supported: use "$defs" and "$ref": "#/$defs/…"');
    else if (!Object.hasOwn(KEYWORDS, keyword)) {
      add(
        keyword,
        'UNKNOWN',
        `is not a keyword of JSON Schema 2020-12${didYouMean(keyword, Object.keys(KEYWORDS))}`,
      );
    } else if (keyword === '$schema' && value !== SCHEMA_DIALECT)
      add(keyword, 'CONST', `must be "${SCHEMA_DIALECT}"`);
    else if (keyword === '$id' && path.length > 0)
      add(keyword, 'NOT_SUPPORTED', 'is allowed at the top only');
    else if (keyword === 'format' && !(SCHEMA_FORMATS as readonly unknown[]).includes(value)) {
      add(keyword, 'ENUM', `must be one of ${SCHEMA_FORMATS.join(', ')}`);
    } else if (keyword === 'pattern' && typeof value === 'string')
      checkPattern(value, [...path, keyword], faults);
    else if (keyword === 'patternProperties' && isObject(value)) {
      for (const pattern of Object.keys(value)) checkPattern(pattern, [...path, keyword, pattern], faults);
    } else if (keyword === 'uniqueItems' && value === true && !isWithin(schema['maxItems'])) {
      add(keyword, 'UNIQUE_ITEMS', `needs maxItems of at most ${SCHEMA_LIMITS.uniqueItemsMax} beside it`);
    }
  }
}

function checkPattern(pattern: string, path: FaultPath, faults: Fault[]): void {
  try {
    compileLinearPattern(pattern);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : 'unknown fault';
    faults.push({ path, reason: 'PATTERN', description: `cannot be matched in linear time: ${why}` });
  }
}

function checkReferences(root: SchemaObject, known: ReadonlySet<unknown>, faults: Fault[]): void {
  const done = new Set<unknown>();
  const open = new Set<unknown>();
  const follow = (schema: unknown, path: FaultPath): void => {
    if (!isObject(schema) || done.has(schema)) return;
    open.add(schema);
    for (const next of edges(root, { path, schema, keyword: '', step: 'same', name: '' })) {
      if (next.keyword === '$ref' && (next.schema === undefined || !known.has(next.schema))) {
        const description = 'must be "#/…" and point at a schema in the same text; nothing is ever fetched';
        faults.push({ path: next.path, reason: 'REFERENCE', description });
      } else if (open.has(next.schema)) {
        const description =
          'refers back to itself, and recursive schemas are not supported: leave the inner part as "type": "object"';
        faults.push({ path: next.path, reason: 'RECURSION', description });
      } else follow(next.schema, next.path);
    }
    open.delete(schema);
    done.add(schema);
  };
  follow(root, []);
}

/** Follows every reference, notes where secrets stand, and says whether the whole stays within its limit. */
function expand(root: SchemaObject, secretLocations: ValueLocation[]): boolean {
  let visited = 0;
  const visit = (at: Subschema, location: ValueLocation): void => {
    visited += 1;
    if (!isObject(at.schema)) return;
    if (at.schema['writeOnly'] === true) secretLocations.push(location);
    for (const next of edges(root, at)) {
      if (visited > SCHEMA_LIMITS.expandedSchemasMax) return;
      if (next.step === 'same') visit(next, location);
      else if (next.step !== 'none') visit(next, [...location, next.step === 'name' ? next.name : null]);
    }
  };
  visit({ path: [], schema: root, keyword: '', step: 'same', name: '' }, []);
  return visited <= SCHEMA_LIMITS.expandedSchemasMax;
}

/** Walks a schema and all that stands in it, without following references; `visit` says whether to go deeper. */
function visitAll(root: unknown, visit: (at: Subschema, depth: number) => boolean): void {
  const walk = (at: Subschema, depth: number): void => {
    if (visit(at, depth)) for (const next of children(at)) walk(next, depth + 1);
  };
  walk({ path: [], schema: root, keyword: '', step: 'same', name: '' }, 1);
}

/** The subschemas of a schema and what its reference points at. */
function* edges(root: SchemaObject, at: Subschema): Generator<Subschema> {
  yield* children(at);
  if (isObject(at.schema) && Object.hasOwn(at.schema, '$ref')) {
    const schema = pointedAt(root, at.schema['$ref']);
    yield { path: [...at.path, '$ref'], schema, keyword: '$ref', step: 'same', name: '' };
  }
}

function* children(at: Subschema): Generator<Subschema> {
  if (!isObject(at.schema)) return;
  for (const [keyword, value] of Object.entries(at.schema)) {
    const { kind, step } = Object.hasOwn(KEYWORDS, keyword) ? (KEYWORDS[keyword] ?? data) : data;
    const path = [...at.path, keyword];
    if (kind === 'schema') yield { path, schema: value, keyword, step, name: '' };
    else if (kind === 'list' && Array.isArray(value)) {
      for (const [index, schema] of value.entries())
        yield { path: [...path, index], schema, keyword, step, name: '' };
    } else if (kind === 'map' && isObject(value)) {
      for (const [name, schema] of Object.entries(value))
        yield { path: [...path, name], schema, keyword, step, name };
    }
  }
}

function pointedAt(root: SchemaObject, reference: unknown): unknown {
  if (typeof reference !== 'string' || !/^#(\/|$)/.test(reference)) return undefined;
  let pointer: string;
  try {
    pointer = decodeURIComponent(reference.slice(1));
  } catch {
    return undefined;
  }
  return pathOfPointer(pointer).reduce<unknown>(
    (at, part) => (isContainer(at) && Object.hasOwn(at, part) ? at[part] : undefined),
    root,
  );
}

const isObject = (value: unknown): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isContainer = (value: unknown): value is SchemaObject => typeof value === 'object' && value !== null;

const isWithin = (value: unknown): boolean =>
  typeof value === 'number' && value <= SCHEMA_LIMITS.uniqueItemsMax;
