import { createHash } from 'node:crypto';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Options } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { RuneError } from '../errors.js';
import type { Fault } from '../fault.js';
import { FAULTS_LISTED_MAX, pathOfPointer, pointerOf, toValidationError } from '../fault.js';
import type { ValidationError } from '../gen/rune/v1/eps.js';
import { compileLinearPattern } from './linear-pattern.js';
import type { RuleBreach } from './schema-messages.js';
import { describeBreaches } from './schema-messages.js';
import type { SchemaSource } from './schema-source.js';
import { readSchema, SCHEMA_DIALECT, SCHEMA_FORMATS } from './schema-source.js';

/** A compiled schema. Both checks fill missing properties that have a default into the value, and never throw. */
export interface Validator {
  /** What is wrong with the value, as the protocol carries it; at most 20, empty if it is valid. */
  validate(value: unknown): ValidationError[];
  /** The same with the path in parts. */
  faults(value: unknown): Fault[];
}

/** Compiles schemas and keeps the compiled ones, the most recently used first to stay. */
export interface SchemaCompiler {
  /**
   * Validator for a JSON Schema 2020-12 text; `root` begins the path of each fault. Throws CONFIGURATION_INVALID whose
   * validation_errors name the faulty places as JSON pointers such as `#/properties/lines`.
   */
  compile(schemaJson: string, root: string): Validator;
}

/** A larger value is checked up to its first fault only: listing all faults takes memory and quadratic time. */
const DETAILED_VALUES_MAX = 2000;

const SCHEMAS_MAX = 256;

// The engine's name for generated code that rebuilds the pattern; nothing here ever writes such code out.
const linearPatterns = Object.assign((source: string) => compileLinearPattern(source), { code: 'linear' });

const OPTIONS: Options = {
  strict: true,
  useDefaults: true,
  coerceTypes: false,
  ownProperties: true,
  logger: false,
  verbose: true,
  meta: false,
  validateSchema: false,
  // Polishing the generated code takes longer than generating it and makes checks no faster.
  code: { regExp: linearPatterns, optimize: false },
};

/** Makes a compiler that keeps at most `schemasMax` compiled schemas. Making it takes some tens of milliseconds. */
export function createSchemaCompiler(
  settings: { readonly schemasMax: number } = { schemasMax: SCHEMAS_MAX },
): SchemaCompiler {
  const dialect = new Ajv2020({ logger: false, allErrors: true, code: { optimize: false } });
  const kept = new Map<string, Validator>();
  return {
    compile(schemaJson, root) {
      const key = `${root} ${createHash('sha256').update(schemaJson).digest('hex')}`;
      const validator = kept.get(key) ?? compileOne(schemaJson, root, dialect);
      kept.delete(key);
      kept.set(key, validator);
      const oldest = kept.size > settings.schemasMax ? kept.keys().next() : undefined;
      if (oldest?.done === false) kept.delete(oldest.value);
      return validator;
    },
  };
}

function compileOne(schemaJson: string, root: string, dialect: Ajv2020): Validator {
  const { source, faults } = readSchema(schemaJson);
  if (source === undefined) throw refusal(faults);
  if (!dialect.validate(SCHEMA_DIALECT, source.schema)) {
    const breaches: RuleBreach[] = dialect.errors ?? [];
    throw refusal(describeBreaches(breaches, source.schema, []));
  }
  const detailed = build(source, true);
  let first: ReturnType<typeof build> | undefined;
  const check = (value: unknown): Fault[] => {
    const isLarge = countValues(value, DETAILED_VALUES_MAX) > DETAILED_VALUES_MAX;
    const run = isLarge ? (first ??= build(source, false)) : detailed;
    try {
      if (run(value)) return [];
    } catch {
      // A RangeError: comparing values that are nested thousands of levels deep exhausts the stack.
      return [{ path: [], reason: 'DEPTH', description: 'is nested too deeply to be checked' }];
    }
    const breaches: RuleBreach[] = run.errors ?? [];
    return describeBreaches(breaches, value, source.secretLocations);
  };
  return { faults: check, validate: (value) => check(value).map((fault) => toValidationError(root, fault)) };
}

/**
 * An engine of its own for each schema: one engine keeps traces of every schema it ever compiled, even of removed ones.
 */
function build(source: SchemaSource, allErrors: boolean): ReturnType<Ajv2020['compile']> {
  const engine = new Ajv2020({ ...OPTIONS, allErrors });
  ajvFormats.default(engine, [...SCHEMA_FORMATS]);
  try {
    return engine.compile({ ...source.schema });
  } catch (thrown) {
    throw refusal([faultOfEngine(thrown)], thrown);
  }
}

/** The engine names the place inside its sentence, if it names it at all. */
function faultOfEngine(thrown: unknown): Fault {
  if (thrown instanceof RangeError)
    return { path: [], reason: 'DEPTH', description: 'is nested too deeply to be compiled' };
  const sentence = thrown instanceof Error ? thrown.message : 'cannot be compiled';
  const [, pointer = ''] = /"#(\/[^"]*)"/.exec(sentence) ?? [];
  const description = sentence
    .replace(/^strict mode: /, '')
    .replace(/ (in schema )?at (path )?"#[^"]*"/, '')
    .replace(/ \(strict[A-Za-z]+\)$/, '');
  return {
    path: pathOfPointer(decodeURIComponent(pointer)),
    reason: 'STRICT',
    description: `is refused: ${description}`,
  };
}

function refusal(faults: readonly Fault[], cause?: unknown): RuneError {
  const validationErrors = faults.slice(0, FAULTS_LISTED_MAX).map((fault) => ({
    field: pointerOf(fault.path),
    reason: fault.reason,
    description: fault.description,
  }));
  const [first] = validationErrors;
  const about = first === undefined ? 'it cannot be compiled' : `${first.field} ${first.description}`;
  return new RuneError(
    'CONFIGURATION_INVALID',
    `The JSON Schema cannot be used: ${about}.`,
    { validationErrors },
    { cause },
  );
}

function countValues(value: unknown, max: number): number {
  let counted = 0;
  const pending: unknown[] = [value];
  while (pending.length > 0 && counted <= max) {
    const item = pending.pop();
    counted += 1;
    if (typeof item !== 'object' || item === null) continue;
    for (const child of Array.isArray(item) ? item : Object.values(item)) {
      pending.push(child);
      if (pending.length > max) return max + 1;
    }
  }
  return counted;
}
