import { RuneError } from '../../../shared/errors.js';
import type { SsmAddress, StopReason } from '../../../shared/gen/rune/v1/run.js';
import type { NodeCommand, NodeEnding, RunPhases, RunSink, StopSignal } from '../transport.js';
import { reportInCombined } from './combined-output.js';
import { completeReport } from './complete-report.js';
import { interpretReport } from './interpret-report.js';
import { endOf, progressOf, type InvocationPast } from './invocation-state.js';
import { lookScript } from './look-script.js';
import { scriptParameters } from './node-script.js';
import type { OutputBucket } from './output-bucket.js';
import type { Clock } from './rate-budget.js';
import { readReport, type NodeReport } from './report.js';
import { carries, lookComment } from './run-comment.js';
import { findCommand, sendParcel } from './send-command.js';
import type { SendRun } from './send-together.js';
import { pause, type SsmAccess } from './ssm-access.js';
import { SsmFault, type SsmInvocation } from './ssm-api.js';
import { deliverySeconds, sendSettings, type SsmSettings } from './ssm-settings.js';
import { unableError } from './unable-error.js';

/** What a run over Systems Manager works with. */
export interface SsmRunDeps {
  readonly access: SsmAccess;
  readonly send: SendRun;
  readonly address: SsmAddress;
  /** Where agents put whole outputs; undefined for nowhere. */
  readonly bucket: OutputBucket | undefined;
  readonly settings: SsmSettings;
  readonly clock: Clock;
}

/** One run over Systems Manager. */
export interface SsmRun {
  readonly command: NodeCommand;
  readonly sink: RunSink;
  readonly stop: StopSignal;
}

/** The command of a run, sent by this process or by another one. */
interface Sent {
  readonly commandId: string;
  readonly sentAt: Date;
  /** Undefined where another process sent it. */
  readonly connectMs: number | undefined;
}

/** What the agent's limit leaves the node beyond timeout and kill grace, to report how the plugin ended. */
const REPORT_MARGIN_MS = 20_000;
/** The node's own limit for one parameter. */
const LOOK_UP_MS = 21_000;
const AGENT_SECONDS_MIN = 5;
/** What the service may take to say what an agent has reported, and the mediator to see it. */
const SERVICE_MARGIN_MS = 60_000;
/** How long after its time for delivery a command is given up that still waits. */
const DELIVERY_MARGIN_MS = 3_000;
/** How long a cancelled command may take to end, beyond the kill grace. */
const CANCEL_MARGIN_MS = 60_000;
const DETAILS_PAUSE_MS = 300;
const CANCEL_PAUSE_MS = 300;

/** Sends the command of a run and follows it to its end. Throws a RuneError if certainly nothing ran. */
export async function runOverSsm(run: SsmRun, deps: SsmRunDeps): Promise<NodeEnding> {
  const { command, sink, stop } = run;
  const { address, clock } = deps;
  const startedMs = clock.now();
  const { commandId, sentAt } = await deps.send({
    command,
    instanceId: address.instanceId,
    executionSeconds: executionSeconds(command),
    stop,
  });
  if (commandId === undefined) {
    return lost(
      'the answer to its command was lost, and no command of this run can be found',
      run,
      deps,
      sentAt,
    );
  }
  sink.waiting?.(`Systems Manager has the command ${commandId}; log and result come when it ends.`);
  return follow(run, deps, { commandId, sentAt, connectMs: clock.now() - startedMs });
}

/** Finds the command of a run that another process sent, and follows it to its end. */
export async function adoptOverSsm(run: SsmRun, deps: SsmRunDeps, sentAt: Date): Promise<NodeEnding> {
  const { command, sink } = run;
  const { access, address, settings, clock } = deps;
  const commandId = await findCommand(
    access,
    { instanceId: address.instanceId, isIt: carries(command) },
    sentAt,
    { settings: sendSettings(settings), clock },
  );
  if (commandId === undefined) return lost('no command of this run can be found', run, deps, sentAt);
  sink.waiting?.(`Found the command ${commandId} again; log and result come when it ends.`);
  return follow(run, deps, { commandId, sentAt, connectMs: undefined });
}

function executionSeconds({ timeoutMs, killGraceMs, references = [] }: NodeCommand): number {
  const lookUpMs = references.length * LOOK_UP_MS;
  return Math.max(
    AGENT_SECONDS_MIN,
    Math.ceil((lookUpMs + timeoutMs + killGraceMs + REPORT_MARGIN_MS) / 1000),
  );
}

async function follow(run: SsmRun, deps: SsmRunDeps, sent: Sent): Promise<NodeEnding> {
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
    if (told !== undefined) return conclude(told, { ...known, phases: phases() }, lose);
    const invocation = await detailsOf(access, commandId, instanceId, clock, tooLate.signal);
    const first = await reportOf(run, deps, invocation, tooLate.signal);
    const report = needsLook(first, invocation, past) ? await lookAt(run, deps, sent, first) : first;
    return judge(report, invocation, { ...known, phases: phases() }, lose);
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

/** What an invocation says of the run, completed from the bucket that the node has. */
function reportOf(
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

/** Whether the node may know more than the invocation says: its script was killed, or a part of its report is missing. */
function needsLook(report: NodeReport, invocation: SsmInvocation, past: InvocationPast): boolean {
  if (report.kind === 'cut') return true;
  return report.kind === 'silent' && endOf(invocation, past).kind !== 'never-ran';
}

/** What the script said in the end, as the node has kept it; `first` if it cannot be asked. */
async function lookAt(run: SsmRun, deps: SsmRunDeps, sent: Sent, first: NodeReport): Promise<NodeReport> {
  const { command } = run;
  const { access, address, settings, clock } = deps;
  const waitMs = command.killGraceMs + REPORT_MARGIN_MS;
  const tooLate = new AbortController();
  const cancelTimer = clock.after(settings.ssmDeliveryTimeoutMs + waitMs + SERVICE_MARGIN_MS, () =>
    tooLate.abort(),
  );
  try {
    const { instanceId } = address;
    const comment = lookComment(command.runId);
    const look = {
      instanceIds: [instanceId],
      document: settings.ssmDocument,
      parameters: scriptParameters(lookScript(sent.commandId, waitMs), settings.ssmDocumentForm),
      outputBucket: deps.bucket,
      comment,
      deliverySeconds: deliverySeconds(settings),
      executionSeconds: Math.ceil((waitMs + REPORT_MARGIN_MS) / 1000),
    };
    const sending = await sendParcel(
      access,
      {
        load: () => ({ command: look, isIt: (listed) => listed.comment === comment }),
        unload: () => undefined,
      },
      { settings: sendSettings(settings), clock, stop: tooLate.signal },
    );
    if (sending.kind !== 'sent' || sending.sent.commandId === undefined) return first;
    const { commandId, sentAt } = sending.sent;
    await access.watch.untilOver({ commandId, instanceId, sentAt }, () => undefined, tooLate.signal);
    const invocation = await detailsOf(access, commandId, instanceId, clock, tooLate.signal);
    const found = await reportOf(run, deps, invocation, tooLate.signal);
    return found.kind === 'silent' ? first : found;
  } catch {
    // Nobody can be asked: what is known already counts.
    return first;
  } finally {
    cancelTimer();
  }
}

/** The invocation once the service shows it as over: its answers to different questions are not of one moment. */
async function detailsOf(
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

/** What is known of a run besides what its node reported. */
interface Known {
  readonly run: SsmRun;
  readonly past: InvocationPast;
  readonly askedReason: StopReason | undefined;
  readonly isTimedOut: boolean;
  readonly phases: RunPhases;
}

type Lose = (reason: string, started?: boolean) => NodeEnding;

function conclude(report: Extract<NodeReport, { kind: 'report' }>, known: Known, lose: Lose): NodeEnding {
  const { command, sink } = known.run;
  const ending = interpretReport(report, { command, sink, ...known });
  return ending.kind === 'unclear'
    ? lose('the node did not say how the plugin ended', ending.started)
    : ending;
}

function judge(report: NodeReport, invocation: SsmInvocation, known: Known, lose: Lose): NodeEnding {
  const { command } = known.run;
  const about = { node: command.target.name, runId: command.runId };
  if (report.kind === 'report') return conclude(report, known, lose);
  if (report.kind === 'unable') throw unableError(command, report);
  if (report.kind === 'again') return lose('the node was started anew while it ran');
  if (report.kind === 'cut') return lose('a part of what the node reported is missing');
  const end = endOf(invocation, known.past);
  if (end.kind !== 'never-ran') return lose(end.reason);
  const isCancelled = end.byCancel && !known.past.waitedTooLong;
  const reason = end.byCancel && !isCancelled ? 'the command did not reach the node in time' : end.reason;
  const message = `Nothing ran on ${about.node}: ${reason}.`;
  throw new RuneError(isCancelled ? 'RUN_CANCELLED' : 'SSM_NOT_DELIVERED', message, about);
}

/** How long a command may take from its sending to its end, at most. */
function longestMs(command: NodeCommand, settings: SsmSettings): number {
  return (
    settings.ssmDeliveryTimeoutMs +
    settings.ssmQueueWaitMs +
    executionSeconds(command) * 1000 +
    SERVICE_MARGIN_MS
  );
}

function lost(
  reason: string,
  { command }: SsmRun,
  { settings }: SsmRunDeps,
  sentAt: Date,
  known: {
    readonly started?: boolean;
    readonly stopReason?: StopReason | undefined;
    readonly phases?: RunPhases;
  } = {},
): NodeEnding {
  return {
    kind: 'lost',
    reason,
    started: known.started ?? false,
    stopReason: known.stopReason,
    stoppedOnNodeByMs: sentAt.getTime() + longestMs(command, settings),
    phases: known.phases ?? { connectMs: 0, startMs: 0, runMs: 0 },
  };
}
