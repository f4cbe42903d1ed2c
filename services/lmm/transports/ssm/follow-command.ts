import { RuneError } from '../../../shared/errors.js';
import type { StopReason } from '../../../shared/gen/rune/v1/run.js';
import type { NodeEnding, RunPhases } from '../transport.js';
import { reportInCombined } from './combined-output.js';
import { progressOf } from './invocation-state.js';
import { concludeRun, judgeInvocation } from './judge-invocation.js';
import { lookAtNode, needsLook } from './look-at-node.js';
import { lost } from './lost-run.js';
import type { Clock } from './rate-budget.js';
import { detailsOf, reportOf } from './read-invocation.js';
import { longestMs } from './run-limits.js';
import { pause, type SsmAccess } from './ssm-access.js';
import { SsmFault } from './ssm-api.js';
import type { SentRun, SsmRun, SsmRunDeps } from './ssm-run.js';

/** How long after its time for delivery a command is given up that still waits. */
const DELIVERY_MARGIN_MS = 3_000;
/** How long a cancelled command may take to end, beyond the kill grace. */
const CANCEL_MARGIN_MS = 60_000;
const CANCEL_PAUSE_MS = 300;

/** Follows the command of a run to its end, and cancels it where it is to stop. Throws a RuneError if certainly nothing ran. */
export async function followCommand(run: SsmRun, deps: SsmRunDeps, sent: SentRun): Promise<NodeEnding> {
  const { command, stop } = run;
  const { access, address, settings, clock } = deps;
  const { instanceId } = address;
  const { commandId, sentAt } = sent;
  const beganMs = clock.now();
  let runningMs: number | undefined;
  let wasRunning = false;
  let waitedTooLong = false;
  let askedReason: StopReason | undefined;
  const tooLate = new AbortController();
  const over = new AbortController();
  let cancelLimit = clock.after(longestMs(command, settings), () => tooLate.abort());

  const phases = (): RunPhases => ({
    connectMs: sent.connectMs ?? 0,
    startMs: (runningMs ?? clock.now()) - beganMs,
    runMs: runningMs === undefined ? 0 : clock.now() - runningMs,
  });
  const lose = (reason: string, started = false): NodeEnding =>
    lost(reason, run, deps, sentAt, { started, stopReason: askedReason, phases: phases() });

  const cancel = (): void => {
    cancelLimit();
    cancelLimit = clock.after(command.killGraceMs + CANCEL_MARGIN_MS, () => tooLate.abort());
    void cancelCommand(
      access,
      sent.commandId,
      instanceId,
      clock,
      AbortSignal.any([tooLate.signal, over.signal]),
    );
  };
  const onStop = (): void => {
    askedReason = stop.reason as StopReason;
    if (!waitedTooLong) cancel();
  };
  const deliveryMs = settings.ssmDeliveryTimeoutMs + DELIVERY_MARGIN_MS - (Date.now() - sentAt.getTime());
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });

  try {
    const status = await access.watch.untilOver(
      { commandId, instanceId, sentAt },
      (seen) => {
        const progress = progressOf(seen);
        // What is being stopped may have begun between two looks.
        if (progress === 'running' || progress === 'stopping') wasRunning = true;
        if (progress === 'running') runningMs ??= clock.now();
        if (progress === 'waiting' && !waitedTooLong && clock.now() - beganMs >= deliveryMs) {
          waitedTooLong = true;
          if (askedReason === undefined) cancel();
        }
      },
      tooLate.signal,
    );
    if (status === undefined) return lose(`the service does not show the command ${commandId}`);
    const isTimedOut = status.status === 'TimedOut';
    const past = { wasRunning, waitedTooLong };
    const known = { run, past, askedReason, isTimedOut };
    const told = reportInCombined(command.runId, status.combined ?? '');
    if (told !== undefined) return concludeRun(told, { ...known, phases: phases() }, lose);
    const invocation = await detailsOf(access, commandId, instanceId, clock, tooLate.signal);
    const first = await reportOf(run, deps, invocation, tooLate.signal);
    const report = needsLook(first, invocation, past) ? await lookAtNode(run, deps, sent, first) : first;
    return judgeInvocation(report, invocation, { ...known, phases: phases() }, lose);
  } catch (thrown) {
    if (thrown instanceof RuneError) throw thrown;
    if (thrown instanceof SsmFault) return lose(`the service refused to tell (${thrown.code})`);
    if (tooLate.signal.aborted) return lose(`the command ${commandId} was not over in time`);
    throw thrown;
  } finally {
    over.abort();
    cancelLimit();
    stop.removeEventListener('abort', onStop);
  }
}

/** Asks for the end of a command until the service knows it: a new one it may not. What comes of it the status says. Never rejects. */
async function cancelCommand(
  access: SsmAccess,
  commandId: string,
  instanceId: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await access.read((api) => api.cancel(commandId, instanceId), signal);
      return;
    } catch (thrown) {
      if (!(thrown instanceof SsmFault) || thrown.code !== 'InvalidCommandId') return;
    }
    try {
      await pause(clock, CANCEL_PAUSE_MS, signal);
    } catch {
      return; // It ended meanwhile, or nobody waits any more.
    }
  }
}
