import { toDuration } from '../../shared/messages/duration.js';
import type { MediateStart, NodeTarget, Plugin } from '../../shared/gen/rune/v1/lmm.js';
import type { Placement } from './placement.js';
import type { RunIdentity } from './run-identity.js';
import { referencedParams, secretParams } from '../plan/secret-references.js';
import type { Plan, PlannedNode, PlannedRun } from '../plan/plan.js';

/** The node as a mediator needs it, by one of its transports. */
export function nodeTarget({
  node,
  transport,
  jump,
}: Pick<PlannedNode, 'node' | 'transport' | 'jump'>): NodeTarget {
  const { name, address, port, user, credential, hostKeyFingerprints, weakAlgorithms, ssm } = node;
  return {
    name,
    transport,
    address,
    port,
    user,
    credential,
    hostKeyFingerprints,
    weakAlgorithms,
    ssm: transport === 'ssm' ? ssm : undefined,
    jump: jump.map((hop) => ({
      name: hop.name,
      address: hop.address,
      port: hop.port,
      user: hop.user,
      credential: hop.credential,
      hostKeyFingerprints: hop.hostKeyFingerprints,
      weakAlgorithms: hop.weakAlgorithms,
    })),
  };
}

function pluginOf(plan: Plan, withContent: boolean): Plugin {
  const { capability, script, scriptSha256, library, librarySha256, files, parameterInput } = plan.action;
  const blob = (sha256: string, content: Buffer): { sha256: string; content: Buffer } => ({
    sha256,
    content: withContent ? content : Buffer.alloc(0),
  });
  return {
    script: blob(scriptSha256, script),
    library: library.length === 0 ? undefined : blob(librarySha256, library),
    delivery: capability.delivery,
    leavesProcesses: capability.leavesProcesses,
    systemdScope: capability.systemdScope,
    files: files.map((file) => ({ path: file.path, blob: blob(file.sha256, file.bytes) })),
    protocol: capability.protocol,
    requires: capability.requires,
    arguments: [...plan.arguments],
    parameterInput,
  };
}

/**
 * What a mediator is told to start one run. Without `withContent`, digests stand for what it was sent before; after
 * `orphanAfterMs` with nobody attached it ends the run.
 */
export function startMessage(
  { instanceId }: Placement,
  plan: Plan,
  run: PlannedRun,
  identity: RunIdentity,
  { orphanAfterMs, withContent }: { readonly orphanAfterMs: number; readonly withContent: boolean },
): MediateStart {
  const { node } = run;
  return {
    runId: identity.runId,
    executionId: identity.executionId,
    attempt: identity.attempt,
    action: plan.action.capability.action,
    plugin: pluginOf(plan, withContent),
    target: nodeTarget(run),
    runAs: run.runAs,
    ownerEpoch: identity.epoch,
    lmmInstanceId: instanceId,
    dispatchGroup: identity.dispatchGroup,
    paramsJson: plan.paramsJson,
    referencedParams: referencedParams(plan.action, plan.params, run.transport),
    secretParams: secretParams(plan.action, plan.params),
    outputSchema: plan.action.capability.outputSchema,
    context: {
      dryRun: plan.dryRun,
      triggeredBy: identity.triggeredBy,
      reason: plan.reason,
      nodeVarsJson: Buffer.from(JSON.stringify(node.vars ?? {})),
      nodeLabels: node.labels,
      configurationJson: Buffer.from(JSON.stringify(run.configuration)),
    },
    limits: {
      timeout: toDuration(plan.timeoutMs),
      killGrace: toDuration(plan.killGraceMs),
      connectTimeout: toDuration(plan.connectTimeoutMs),
      orphanAfter: toDuration(orphanAfterMs),
      outputBytesMax: 0,
      logBytesMax: 0,
    },
  };
}
