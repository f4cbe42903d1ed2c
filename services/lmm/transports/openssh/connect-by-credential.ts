import { RuneError } from '../../../shared/errors.js';
import { failedBefore, type Connect } from '../ssh/connection.js';
import type { SshTarget } from '../ssh/ssh-target.js';

/** The two ways to connect over SSH. */
export interface WaysToConnect {
  readonly library: Connect;
  /** By the system's ssh; undefined on a mediator without one. */
  readonly openssh: Connect | undefined;
}

/**
 * Connects with the library, but with the system's ssh where a credential asks for that, be it of the node or of a host on the
 * way. Without one the answer is CREDENTIAL_UNUSABLE.
 */
export function connectByCredential({ library, openssh }: WaysToConnect): Connect {
  return async (target, context, limits, progress) => {
    const asking = firstAsking(target);
    if (asking === undefined) return library(target, context, limits, progress);
    if (openssh !== undefined) return openssh(target, context, limits, progress);
    const message = `The credential ${JSON.stringify(asking.credential.name)}, which ${asking.node} needs, takes the system's ssh, and this mediator found none when it started.`;
    return failedBefore(new RuneError('CREDENTIAL_UNUSABLE', message, { node: target.node }));
  };
}

function firstAsking(target: SshTarget): SshTarget | undefined {
  if (target.credential.client === 'openssh') return target;
  return target.via && firstAsking(target.via);
}
