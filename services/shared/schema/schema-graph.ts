import type { FaultPath } from '../fault.js';
import { pathOfPointer } from '../fault.js';

/** A schema, or anything else that is a JSON object. */
export type SchemaObject = Record<string, unknown>;

/** What stands under a keyword: one schema, a list of schemas, schemas by name, or plain data. */
type KeywordKind = 'schema' | 'list' | 'map' | 'data';

/** Where the value that a subschema describes stands, seen from the value of the schema around it. */
type Step = 'same' | 'any' | 'name' | 'none';

interface Keyword {
  readonly kind: KeywordKind;
  readonly step: Step;
}

const DATA: Keyword = { kind: 'data', step: 'none' };
const DATA_KEYWORDS = [
  '$schema $id $comment $ref title description default examples deprecated readOnly writeOnly',
  'type enum const format pattern minLength maxLength contentEncoding contentMediaType',
  'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf',
  'minItems maxItems uniqueItems minContains maxContains',
  'required minProperties maxProperties dependentRequired',
];
const KEYWORDS: Readonly<Record<string, Keyword>> = {
  ...Object.fromEntries(DATA_KEYWORDS.flatMap((line) => line.split(' ')).map((keyword) => [keyword, DATA])),
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
/** What stands where a schema should stand, and how it is reached. */
export interface Subschema {
  readonly path: FaultPath;
  readonly schema: unknown;
  /** The keyword it stands under; `$ref` if it is what a reference points at. */
  readonly keyword: string;
  readonly step: Step;
  /** Property name for step 'name'. */
  readonly name: string;
}

/** The keywords of JSON Schema 2020-12 that are served. */
export const SCHEMA_KEYWORDS: ReadonlySet<string> = new Set(Object.keys(KEYWORDS));

/** The schema that everything else in it is reached from. */
export const rootOf = (schema: unknown): Subschema => ({
  path: [],
  schema,
  keyword: '',
  step: 'same',
  name: '',
});

/** Walks a schema and all that stands in it, without following references; `visit` says whether to go deeper. */
export function visitAll(root: unknown, visit: (at: Subschema, depth: number) => boolean): void {
  const walk = (at: Subschema, depth: number): void => {
    if (visit(at, depth)) for (const next of children(at)) walk(next, depth + 1);
  };
  walk(rootOf(root), 1);
}

/** The subschemas of a schema and what its reference points at. */
export function* edges(root: SchemaObject, at: Subschema): Generator<Subschema> {
  yield* children(at);
  if (isObject(at.schema) && Object.hasOwn(at.schema, '$ref')) {
    const schema = pointedAt(root, at.schema['$ref']);
    yield { path: [...at.path, '$ref'], schema, keyword: '$ref', step: 'same', name: '' };
  }
}

function* children(at: Subschema): Generator<Subschema> {
  if (!isObject(at.schema)) return;
  for (const [keyword, value] of Object.entries(at.schema)) {
    const { kind, step } = Object.hasOwn(KEYWORDS, keyword) ? (KEYWORDS[keyword] ?? DATA) : DATA;
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

/** Whether a value is a JSON object. */
export const isObject = (value: unknown): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isContainer = (value: unknown): value is SchemaObject => typeof value === 'object' && value !== null;
