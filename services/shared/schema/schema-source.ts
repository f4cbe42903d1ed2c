import type { Fault, FaultPath } from '../fault.js';
import { checkJsonBounds } from './json-bounds.js';
import { compileLinearPattern } from './linear-pattern.js';
import type { SchemaObject, Subschema } from './schema-graph.js';
import { edges, isObject, rootOf, SCHEMA_KEYWORDS, visitAll } from './schema-graph.js';
import { didYouMean } from '../suggest.js';

/** Bounds of one schema text; a schema beyond them compiles or validates too slowly to be let in. */
const SCHEMA_LIMITS = {
  bytesMax: 64 * 1024,
  propertiesMax: 200,
  depthMax: 16,
  uniqueItemsMax: 1000,
  /** Each may be compared with each item of a long list. */
  alternativesMax: 512,
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

const NOT_SERVED = [
  '$anchor',
  '$dynamicRef',
  '$dynamicAnchor',
  '$vocabulary',
  '$async',
  'definitions',
  'dependencies',
];

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
  let alternatives = 0;
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
    for (const keyword of ['enum', 'anyOf', 'oneOf']) {
      const choices = at.schema[keyword];
      if (Array.isArray(choices)) alternatives += choices.length;
    }
    checkKeywords(at.path, at.schema, faults);
    return true;
  });
  if (properties > SCHEMA_LIMITS.propertiesMax) {
    const description = `has ${properties} properties; at most ${SCHEMA_LIMITS.propertiesMax} are allowed`;
    faults.push({ path: [], reason: 'PROPERTIES', description });
  }
  if (alternatives > SCHEMA_LIMITS.alternativesMax) {
    const description = `has ${alternatives} alternatives (enum, anyOf, oneOf); at most ${SCHEMA_LIMITS.alternativesMax} are allowed`;
    faults.push({ path: [], reason: 'ALTERNATIVES', description });
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
    if (NOT_SERVED.includes(keyword)) {
      add(keyword, 'NOT_SUPPORTED', 'is not supported: use "$defs" and "$ref": "#/$defs/…"');
    } else if (!SCHEMA_KEYWORDS.has(keyword)) {
      const near = didYouMean(keyword, SCHEMA_KEYWORDS);
      add(keyword, 'UNKNOWN', `is not a keyword of JSON Schema 2020-12${near}`);
    } else if (keyword === '$schema' && value !== SCHEMA_DIALECT) {
      add(keyword, 'CONST', `must be "${SCHEMA_DIALECT}"`);
    } else if (keyword === '$id' && path.length > 0) {
      add(keyword, 'NOT_SUPPORTED', 'is allowed at the top only');
    } else if (keyword === 'format' && !(SCHEMA_FORMATS as readonly unknown[]).includes(value)) {
      add(keyword, 'ENUM', `must be one of ${SCHEMA_FORMATS.join(', ')}`);
    } else if (keyword === 'pattern' && typeof value === 'string') {
      checkPattern(value, [...path, keyword], faults);
    } else if (keyword === 'patternProperties' && isObject(value)) {
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
    for (const next of edges(root, { ...rootOf(schema), path })) {
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
  visit(rootOf(root), []);
  return visited <= SCHEMA_LIMITS.expandedSchemasMax;
}

const isWithin = (value: unknown): boolean =>
  typeof value === 'number' && value <= SCHEMA_LIMITS.uniqueItemsMax;
