import { secretsOf } from '../../shared/bundle/secrets.js';
import type { ActionCapability } from '../../shared/gen/rune/v1/mrs.js';

const REFERENCE = /^ssm:[A-Za-z0-9_./-]{1,1000}$/;

/** Whether a value is "ssm:" and a name in Parameter Store, to be looked up on the node. */
export function isReference(value: unknown): boolean {
  return typeof value === 'string' && REFERENCE.test(value);
}

/** The secret parameters of an action that are references. */
export function referencesIn(
  { inputSchema }: Pick<ActionCapability, 'inputSchema'>,
  params: Readonly<Record<string, unknown>>,
): string[] {
  const names = Object.keys(params).filter((name) => isReference(params[name]));
  if (names.length === 0) return names;
  const secrets = secretsOf(JSON.parse(inputSchema) as object);
  return names.filter((name) => secrets.include(name));
}
