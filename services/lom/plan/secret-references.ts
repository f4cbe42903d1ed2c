import type { Action } from '../../shared/bundle/action.js';
import { secretsOf } from '../../shared/bundle/secrets.js';
import { RuneError } from '../../shared/errors.js';

/** Transports whose commands others can read: in logs of the cloud and on the disk of the node. */
const READABLE = new Set(['ssm']);
/** A name in Parameter Store, for the plugin to look up on its node. */
const REFERENCE = /^ssm:[A-Za-z0-9_./-]{1,1000}$/;

/**
 * Refuses secret parameters over a transport that cannot keep them, unless each is a reference that means nothing to others. Throws
 * SECRET_NOT_CARRIED.
 */
export function requireReferences(
  action: Action,
  params: Readonly<Record<string, unknown>>,
  runs: readonly { readonly node: { readonly name: string }; readonly transport: string }[],
): void {
  const run = runs.find(({ transport }) => READABLE.has(transport));
  if (run === undefined) return;
  const { capability } = action;
  const secrets = secretsOf(JSON.parse(capability.inputSchema) as object);
  const bare = Object.entries(params).find(
    ([name, value]) => secrets.include(name) && !(typeof value === 'string' && REFERENCE.test(value)),
  );
  if (bare === undefined) return;
  throw new RuneError(
    'SECRET_NOT_CARRIED',
    `${capability.action} has the secret parameter ${bare[0]}, and ${run.transport}, which leads to ${run.node.name}, cannot keep a secret.`,
    {
      action: capability.action,
      node: run.node.name,
      field: `params.${bare[0]}`,
      expectedFormat: 'ssm: and a name in Parameter Store, which the plugin looks up on the node',
    },
  );
}
