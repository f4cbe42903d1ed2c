import { completeReport } from './complete-report.js';
import { progressOf } from './invocation-state.js';
import type { Clock } from './rate-budget.js';
import { readReport, type NodeReport } from './report.js';
import { pause, type SsmAccess } from './ssm-access.js';
import type { SsmInvocation } from './ssm-api.js';
import type { SsmRun, SsmRunDeps } from './ssm-run.js';

const DETAILS_PAUSE_MS = 300;

/** The invocation once the service shows it as over: its answers to different questions are not of one moment. */
export async function detailsOf(
  access: SsmAccess,
  commandId: string,
  instanceId: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<SsmInvocation> {
  for (;;) {
    const invocation = await access.read((api) => api.invocation(commandId, instanceId), signal);
    if (invocation !== undefined && progressOf(invocation) === 'over') return invocation;
    await pause(clock, DETAILS_PAUSE_MS, signal);
  }
}

/** What an invocation says of the run, completed from the bucket that the node has. */
export function reportOf(
  { command: { runId } }: SsmRun,
  deps: SsmRunDeps,
  invocation: SsmInvocation,
  signal: AbortSignal,
): Promise<NodeReport> {
  const { access, bucket, clock, settings } = deps;
  return completeReport(runId, readReport(runId, invocation.stdout, invocation.stderr), invocation, {
    access,
    bucket,
    bytesMax: settings.ssmOutputBytesMax,
    waitMs: settings.ssmOutputWaitMs,
    clock,
    signal,
  });
}
