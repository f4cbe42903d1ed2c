import { RuneError } from '../../shared/errors.js';
import { StopReason } from '../../shared/gen/rune/v1/run.js';
import { becomeError } from './become-error.js';
import type { Channel, ChannelEnd } from './channel.js';
import { createFrameDecoder, type Frame, type NodeStopReason } from './frame-decoder.js';
import { readNodeStream, type NodeStream } from './node-stream.js';
import { encodeForSpareShell, encodeUpload, type RunSecrets, type Upload } from './encode-upload.js';
import { CANCEL_LINE, GO_LINE, NOT_STARTED_EXIT_CODE } from './remote-command.js';
import { repeatsUpload } from './repeats-upload.js';
import { requirementError } from './requirement-error.js';
import type { NodeCommand, NodeEnding, RunPhases, RunSink, StopSignal } from './transport.js';

/** Time limits of the node protocol; docs/node-protocol.md says what each one bounds. */
export interface NodeProtocolSettings {
  /** How often the mediator says that it is there. */
  readonly heartbeatMs: number;
  /** Silence of the mediator after which the node ends the plugin. */
  readonly leaseMs: number;
  /** From an open channel to the node's `begin`. */
  readonly beginTimeoutMs: number;
  /** What the node gets beyond timeout and kill grace before the mediator gives the channel up. */
  readonly endMarginMs: number;
}

export const DEFAULT_NODE_PROTOCOL: NodeProtocolSettings = {
  heartbeatMs: 5_000,
  leaseMs: 15_000,
  beginTimeoutMs: 10_000,
  endMarginMs: 10_000,
};

/** One run over one open channel. */
export interface SupervisedRun {
  readonly command: NodeCommand;
  readonly sink: RunSink;
  readonly stop: StopSignal;
  /** What getting the channel took, for the phases. */
  readonly connectMs: number;
  readonly settings: NodeProtocolSettings;
  /** Of the spare shell that waits in the channel; undefined for none. */
  readonly spare?: RunSecrets | undefined;
}

/** A channel that stays open for longer after the run's end is closed by force. */
const CHANNEL_CLOSE_MS = 2_000;
/** How long the streams of an ended channel may still bring what was under way. */
const CHANNEL_DRAIN_MS = 2_000;
/** The longest delay that a Node.js timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const STDERR_TAIL_BYTES = 2_048;
/** What is shown in the place of it where it may hold parameters. */
const REPEATED = 'What the node printed is not shown: it repeats what was sent there.';
const NOTHING = Buffer.alloc(0);

const STOP_REASONS: Record<NodeStopReason, StopReason> = {
  timeout: StopReason.TIMEOUT,
  cancel: StopReason.CANCEL,
  cut: StopReason.CUT,
  lease: StopReason.LEASE,
};

type EndFrame = Extract<Frame, { word: 'end' }>;

/**
 * Runs one plugin over a channel on which REMOTE_COMMAND has been started, and resolves with its fate. The plugin's code
 * cannot begin before the node's `begin` has been answered. Until then every failure throws, and nothing ran:
 * INVALID_REQUEST, NODE_SETUP_FAILED, NODE_LACKS_REQUIREMENT, BECOME_*, or RUN_CANCELLED when `stop` was aborted. After it the only throw is
 * NODE_SETUP_FAILED, when the node says that the plugin's process did not begin. The channel is always ended.
 *
 * A promise from a sink's data callback holds its stream back until it settles, however it settles. Once a stop is decided
 * (asked for, said by the node, or the time is over) nothing is held back any more: what comes while a promise is unsettled
 * is dropped, so that a slow reader cannot prevent a confirmed end.
 */
export async function superviseRun(channel: Channel, run: SupervisedRun): Promise<NodeEnding> {
  try {
    // Nothing here may hold the upload: it would stay in memory for as long as the plugin runs.
    return await new Promise((resolve, reject) => supervise(channel, run, uploadOf(run), resolve, reject));
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

function uploadOf({ command, settings, spare }: SupervisedRun): Upload {
  if (spare === undefined) return encodeUpload(command, settings.leaseMs);
  return { bytes: encodeForSpareShell(command, settings.leaseMs), ...spare };
}

function supervise(
  channel: Channel,
  run: SupervisedRun,
  upload: Upload,
  resolve: (ending: NodeEnding) => void,
  reject: (error: RuneError) => void,
): void {
  const { command, sink, stop, settings } = run;
  const { nonce } = upload;
  const openedMs = performance.now();
  // Undefined until the node was allowed to begin, and until it said that it did.
  let wentMs: number | undefined;
  let startedMs: number | undefined;
  let settled = false;
  let stopping = false;
  let askedReason: StopReason | undefined;
  let saidReason: StopReason | undefined;
  let stdoutEnd: EndFrame | undefined;
  let stderrEnd: EndFrame | undefined;
  let channelEnd: ChannelEnd | undefined;
  let openStreams = 2;
  // What the node prints before the plugin has begun explains why it did not.
  let complaint = NOTHING;
  let limit: NodeJS.Timeout | undefined;
  let overtime: NodeJS.Timeout | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  const phases = (): RunPhases => ({
    connectMs: run.connectMs,
    startMs: startedMs === undefined ? 0 : startedMs - openedMs,
    runMs: startedMs === undefined ? 0 : performance.now() - startedMs,
  });

  /** True once: for whoever may say how the run ended. */
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    clearTimeout(limit);
    clearTimeout(overtime);
    clearInterval(heartbeat);
    stop.removeEventListener('abort', onStop);
    holdNothingBack();
    return true;
  };

  const failNotStarted = (reason: string, end?: ChannelEnd): void => {
    if (!settle()) return;
    channel.destroy();
    const printed = Buffer.concat([stdoutDecoder.junk(), stderrDecoder.junk(), complaint]);
    const stderrTail = repeatsUpload(printed, command, nonce)
      ? REPEATED
      : printed.subarray(-STDERR_TAIL_BYTES).toString('utf8');
    const facts = { node: command.target.name, runId: command.runId, reason, stderrTail };
    reject(
      (end && becomeError(command, end, stderrTail)) ??
        new RuneError('NODE_SETUP_FAILED', `Nothing ran on ${command.target.name}: ${reason}.`, facts),
    );
  };

  const failCancelled = (): void => {
    if (!settle()) return;
    channel.destroy();
    reject(
      new RuneError('RUN_CANCELLED', `The run was cancelled before it began on ${command.target.name}.`, {
        node: command.target.name,
        runId: command.runId,
      }),
    );
  };

  const resolveLost = (reason: string): void => {
    if (!settle()) return;
    channel.destroy();
    // The node may hear its lease for no longer than this, and keeps the plugin's own time in any case.
    const timeLeftMs = Math.max(0, (wentMs ?? openedMs) + command.timeoutMs - performance.now());
    const stopsWithinMs = Math.min(settings.leaseMs, timeLeftMs) + command.killGraceMs + settings.endMarginMs;
    resolve({
      kind: 'lost',
      reason,
      started: startedMs !== undefined,
      stopReason: askedReason ?? saidReason,
      stoppedOnNodeByMs: Math.ceil(Date.now() + stopsWithinMs),
      phases: phases(),
    });
  };

  const resolveEnded = (frame: EndFrame): void => {
    if (startedMs === undefined) {
      failNotStarted('the process of the plugin did not begin');
      return;
    }
    if (!settle()) return;
    endChannel(channel);
    const reason = frame.reason === undefined ? undefined : STOP_REASONS[frame.reason];
    resolve({
      kind: 'ended',
      end: frame.end,
      // A cancel that nobody asked for was forged on the node: then the plugin ended of its own accord.
      stopReason: reason === StopReason.CANCEL ? askedReason : reason,
      confirmed: frame.confirmed,
      maySurvive: !frame.confirmed,
      leftProcesses: frame.left,
      phases: phases(),
    });
  };

  /** Nothing more can come: the channel has ended and its streams are read. */
  const judgeChannelEnd = (end: ChannelEnd): void => {
    const frame = stdoutEnd ?? stderrEnd;
    if (wentMs === undefined) failNotStarted(`${describeEnd(end)} before the run could begin`, end);
    else if (frame !== undefined) resolveEnded(frame);
    else if (startedMs === undefined && end.kind === 'exited' && end.exitCode === NOT_STARTED_EXIT_CODE)
      failNotStarted('the node could not start it');
    else resolveLost(`${describeEnd(end)} before the node said how the plugin ended`);
  };

  const awaitStreams = (end: ChannelEnd): void => {
    clearTimeout(limit);
    limit = setTimeout(() => {
      // Streams that a slow reader holds back are still being read.
      if (streams.some((stream) => stream.isHeld()) && !stopping) awaitStreams(end);
      else judgeChannelEnd(end);
    }, CHANNEL_DRAIN_MS);
  };

  const holdNothingBack = (): void => {
    stopping = true;
    for (const stream of streams) stream.release();
  };

  const giveUpAfter = (ms: number): void => {
    clearTimeout(limit);
    limit = setTimeout(
      () => resolveLost('the node did not say in time how the plugin ended'),
      timerDelay(ms),
    );
  };

  const onStop = (): void => {
    askedReason = (stop.reason as StopReason | undefined) ?? StopReason.CANCEL;
    if (wentMs === undefined) {
      failCancelled();
      return;
    }
    channel.stdin.write(CANCEL_LINE);
    holdNothingBack();
    if (channelEnd === undefined) giveUpAfter(command.killGraceMs + settings.endMarginMs);
  };

  const onBegin = (): void => {
    if (wentMs !== undefined) return;
    wentMs = performance.now();
    channel.stdin.write(GO_LINE);
    heartbeat = setInterval(() => {
      // A word that the node lost is said again.
      if (!channel.stdin.writableNeedDrain)
        channel.stdin.write(askedReason === undefined ? '\n' : CANCEL_LINE);
    }, settings.heartbeatMs);
    overtime = setTimeout(holdNothingBack, timerDelay(command.timeoutMs));
    giveUpAfter(command.timeoutMs + command.killGraceMs + settings.endMarginMs);
  };

  const onFrame = (frame: Frame, stream: 'stdout' | 'stderr'): void => {
    if (settled) return;
    if (frame.word === 'begin') {
      if (stream === 'stdout') onBegin();
    } else if (frame.word === 'unmet') {
      if (!settle()) return;
      channel.destroy();
      reject(requirementError(command, frame));
    } else if (frame.word === 'started') {
      startedMs = performance.now();
      complaint = NOTHING;
      sink.started();
    } else if (frame.word === 'stopping') {
      saidReason = STOP_REASONS[frame.reason];
      holdNothingBack();
    } else {
      if (stream === 'stdout') stdoutEnd = frame;
      else stderrEnd = frame;
      if (stdoutEnd !== undefined && stderrEnd !== undefined) resolveEnded(stdoutEnd);
    }
  };

  const onClose = (): void => {
    openStreams -= 1;
    if (openStreams === 0 && channelEnd !== undefined) judgeChannelEnd(channelEnd);
  };

  const give = (bytes: Buffer, to: 'stdout' | 'stderr', stream: NodeStream): void => {
    if (settled || (stopping && stream.isHeld())) return;
    const promise = sink[to](bytes);
    if (promise !== undefined) stream.holdFor(promise);
  };

  const stdoutDecoder = createFrameDecoder({
    nonce,
    startToken: upload.startToken,
    onBytes: (bytes) => give(bytes, 'stdout', stdout),
    onFrame: (frame) => onFrame(frame, 'stdout'),
  });
  const stderrDecoder = createFrameDecoder({
    nonce,
    onBytes: (bytes) => {
      if (startedMs === undefined) complaint = Buffer.concat([complaint, bytes]).subarray(-STDERR_TAIL_BYTES);
      give(bytes, 'stderr', stderr);
    },
    onFrame: (frame) => onFrame(frame, 'stderr'),
  });
  const stdout = readNodeStream(channel.stdout, { decoder: stdoutDecoder, onClose });
  const stderr = readNodeStream(channel.stderr, { decoder: stderrDecoder, onClose });
  const streams = [stdout, stderr];

  // A write to a channel that has ended fails here; what that means is said by the channel's end.
  channel.stdin.on('error', () => undefined);
  void channel.ended.then((end) => {
    channelEnd = end;
    if (settled) return;
    if (openStreams === 0) judgeChannelEnd(end);
    else awaitStreams(end);
  });

  if (stop.aborted) {
    onStop();
    return;
  }
  stop.addEventListener('abort', onStop, { once: true });
  channel.stdin.write(upload.bytes);
  limit = setTimeout(
    () => failNotStarted(`the node did not begin within ${settings.beginTimeoutMs} ms`),
    timerDelay(settings.beginTimeoutMs),
  );
}

/** Lets the channel end by itself, and closes it if it does not. */
function endChannel(channel: Channel): void {
  channel.stdin.end();
  const force = setTimeout(() => channel.destroy(), CHANNEL_CLOSE_MS);
  void channel.ended.then(() => clearTimeout(force));
}

function describeEnd(end: ChannelEnd): string {
  if (end.kind === 'lost') return `the link was lost (${end.reason})`;
  if (end.signal !== null) return `the shell on the node was killed by ${end.signal}`;
  return `the shell on the node ended with exit code ${end.exitCode ?? 'unknown'}`;
}

function timerDelay(ms: number): number {
  return Math.min(ms, TIMER_MS_MAX);
}
