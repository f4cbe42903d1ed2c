import type { Action } from '../../shared/bundle/action.js';
import { secretsOf } from '../../shared/bundle/secrets.js';
import { RuneError } from '../../shared/errors.js';
import { refuseParams } from './params.js';
import { isReference, referencesIn } from './references-in.js';

/** Transports whose commands others can read: in logs of the cloud and on the disk of the node. */
const READABLE = new Set(['ssm']);

/** The secret parameters that the node has to look up; none over a transport that can keep their values. */
export function referencedParams(
  { capability }: Action,
  params: Readonly<Record<string, unknown>>,
  transport: string,
): string[] {
  return READABLE.has(transport) ? referencesIn(capability, params) : [];
}

/** The parameters that are given secrets: what a mediator keeps out of everything that the plugin prints. */
export function secretParams({ secrets }: Action, params: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(params).filter((name) => secrets.include(name) && !isReference(params[name]));
}

/**
 * Refuses secret parameters over a transport that cannot keep them, unless each is a reference that means nothing to others. Throws
 * SECRET_NOT_CARRIED, and INVALID_PARAMS for a reference that breaks the schema where a transport takes it as it is.
 */
export function requireReferences(
  action: Action,
  params: Readonly<Record<string, unknown>>,
  runs: readonly { readonly node: { readonly name: string }; readonly transport: string }[],
): void {
  const { capability } = action;
  if (runs.some(({ transport }) => !READABLE.has(transport)) && referencesIn(capability, params).length > 0)
    refuseParams(action.input.validate(structuredClone(params)), action);
  const run = runs.find(({ transport }) => READABLE.has(transport));
  if (run === undefined) return;
  const secrets = secretsOf(JSON.parse(capability.inputSchema) as object);
  const bare = Object.entries(params).find(([name, value]) => secrets.include(name) && !isReference(value));
  if (bare === undefined) return;
  throw new RuneError(
    'SECRET_NOT_CARRIED',
    `${capability.action} has the secret parameter ${bare[0]}, and ${run.transport}, which leads to ${run.node.name}, cannot keep a secret.`,
    {
      action: capability.action,
      node: run.node.name,
      field: `params.${bare[0]}`,
      expectedFormat: 'ssm: and a name in Parameter Store, which is looked up on the node',
    },
  );
}
