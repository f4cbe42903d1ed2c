import assert from 'node:assert/strict';
import { RuneError } from '../../../services/shared/errors.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';

const compiler = createSchemaCompiler();

/** What validating a value against a schema reports, one `field REASON description` each. */
export function check(schema: object, value: unknown): string[] {
  return compiler
    .compile(JSON.stringify(schema), 'params')
    .validate(value)
    .map(({ field, reason, description }) => `${field} ${reason} ${description}`);
}

/** Why a schema text is refused, one `pointer REASON description` each. */
export function refusal(schemaJson: string | object): string[] {
  try {
    compiler.compile(typeof schemaJson === 'string' ? schemaJson : JSON.stringify(schemaJson), 'params');
  } catch (thrown) {
    assert(thrown instanceof RuneError);
    assert.equal(thrown.name, 'CONFIGURATION_INVALID');
    return (thrown.facts.validationErrors ?? []).map(
      (one) => `${one.field} ${one.reason} ${one.description}`,
    );
  }
  return [];
}

/** A schema of an object. */
export const object = (properties: object, more: object = {}): object => ({
  type: 'object',
  properties,
  ...more,
});
