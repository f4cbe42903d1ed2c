import { RuneError } from '../../../shared/errors.js';
import { StopReason } from '../../../shared/gen/rune/v1/run.js';
import { becomeError } from '../become-error.js';
import { createFrameDecoder, type Frame, type NodeStopReason } from '../frame-decoder.js';
import { NOT_STARTED_EXIT_CODE } from '../remote-command.js';
import { requirementError } from '../requirement-error.js';
import type { NodeCommand, NodeEnding, RunPhases, RunSink } from '../transport.js';
import type { NodeReport, ReportedOutput } from './report.js';

/** What is known of the run besides its report. */
export interface ReportContext {
  readonly command: NodeCommand;
  readonly sink: RunSink;
  /** Why this mediator cancelled the command, if it did. */
  readonly askedReason: StopReason | undefined;
  /** The agent's own limit ended the script. */
  readonly isTimedOut: boolean;
  readonly phases: RunPhases;
}

type Report = Extract<NodeReport, { kind: 'report' }>;
type EndFrame = Extract<Frame, { word: 'end' }>;

const STDERR_TAIL_BYTES = 2_048;
/** A supervisor that ended well without a word, and outputs that could not be collected to their end. */
const UNSURE_EXIT_CODES = new Set([0, 999]);
/** RS, a nonce, "begin" and what stands between. */
const BEGIN_FRAME_BYTES = 40;

/** The report does not say how a plugin ended that has begun, or may have. */
export interface UnclearEnding {
  readonly kind: 'unclear';
  readonly started: boolean;
}

/**
 * Gives the plugin's outputs to the sink and answers how it ended, by the same words that a node says over SSH. Throws a RuneError
 * if by those words nothing ran.
 */
export function interpretReport(
  report: Report,
  context: ReportContext,
): (NodeEnding & { kind: 'ended' }) | UnclearEnding {
  const { command, sink } = context;
  const read = readFrames(report);
  const { end, unmet } = read;
  if (unmet !== undefined) throw requirementError(command, unmet);
  const stderrTail = Buffer.concat([read.junk, ...read.stderr])
    .subarray(-STDERR_TAIL_BYTES)
    .toString('utf8');
  if (!read.hasStarted) {
    // Of an output that did not fit, the part with `started` may be missing.
    const isSure =
      (end !== undefined && !isCut(report.stdout)) ||
      report.exitCode === NOT_STARTED_EXIT_CODE ||
      (!read.hasBegun && !UNSURE_EXIT_CODES.has(report.exitCode));
    if (!isSure) return { kind: 'unclear', started: false };
    if (end !== undefined && context.askedReason !== undefined) throw cancelledBefore(command);
    throw notStarted(report.exitCode, command, stderrTail);
  }
  sink.started();
  if (read.stderrDroppedBytes > 0) {
    if (report.wholeMissing !== undefined) sink.waiting?.(`The log is cut: ${report.wholeMissing}.`);
    sink.stderrDropped?.(read.stderrDroppedBytes);
  }
  for (const bytes of read.stderr) void sink.stderr(bytes);
  for (const bytes of read.stdout) void sink.stdout(bytes);
  if (end === undefined) return { kind: 'unclear', started: true };
  return {
    kind: 'ended',
    end: end.end,
    stopReason: stopReasonOf(end.reason, context),
    confirmed: end.confirmed,
    maySurvive: !end.confirmed,
    leftProcesses: end.left,
    ...(isCut(report.stdout)
      ? { resultCut: { fromBytes: report.stdout.totalBytes, why: report.wholeMissing } }
      : {}),
    phases: context.phases,
  };
}

function stopReasonOf(
  reason: NodeStopReason | undefined,
  { askedReason, isTimedOut }: ReportContext,
): StopReason | undefined {
  if (reason === undefined) return undefined;
  if (reason === 'timeout') return StopReason.TIMEOUT;
  // The agent killed what held the lease: because it was told to, or because its own time was over.
  return askedReason ?? (isTimedOut ? StopReason.TIMEOUT : StopReason.CUT);
}

interface ReadFrames {
  readonly stdout: readonly Buffer[];
  readonly stderr: readonly Buffer[];
  readonly stderrDroppedBytes: number;
  readonly junk: Buffer;
  readonly hasBegun: boolean;
  readonly hasStarted: boolean;
  readonly unmet: Extract<Frame, { word: 'unmet' }> | undefined;
  readonly end: EndFrame | undefined;
}

function readFrames(report: Report): ReadFrames {
  const { nonce, startToken, stderr = { bytes: Buffer.alloc(0), totalBytes: 0 } } = report;
  const frames: Frame[] = [];
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const onFrame = (frame: Frame): void => void frames.push(frame);
  const outDecoder = createFrameDecoder({
    nonce,
    startToken,
    onBytes: (bytes) => out.push(bytes),
    onFrame,
  });
  outDecoder.push(report.stdout.bytes);
  // Where the end of it did not fit, the node says the frame apart.
  if (isCut(report.stdout) && report.end !== '') outDecoder.push(frameOf(nonce, report.end));
  outDecoder.finish();
  const errDecoder = createFrameDecoder({
    nonce,
    onBytes: (bytes) => err.push(bytes),
    onFrame: () => undefined,
  });
  if (isCut(stderr)) errDecoder.push(frameOf(nonce, 'begin'));
  errDecoder.push(stderr.bytes);
  errDecoder.finish();
  const find = <Word extends Frame['word']>(word: Word): Extract<Frame, { word: Word }> | undefined =>
    frames.find((frame): frame is Extract<Frame, { word: Word }> => frame.word === word);
  return {
    stdout: out,
    stderr: err,
    stderrDroppedBytes: Math.max(0, stderr.totalBytes - stderr.bytes.length - BEGIN_FRAME_BYTES),
    junk: Buffer.concat([outDecoder.junk(), errDecoder.junk()]),
    hasBegun: find('begin') !== undefined,
    hasStarted: find('started') !== undefined,
    unmet: find('unmet'),
    end: find('end'),
  };
}

function isCut({ bytes, totalBytes }: ReportedOutput): boolean {
  return bytes.length < totalBytes;
}

function frameOf(nonce: string, words: string): Buffer {
  return Buffer.from(`\x1e${nonce} ${words}\n`);
}

function cancelledBefore({ target, runId }: NodeCommand): RuneError {
  const message = `The run was cancelled before it began on ${target.name}.`;
  return new RuneError('RUN_CANCELLED', message, { node: target.name, runId });
}

function notStarted(exitCode: number, command: NodeCommand, stderrTail: string): RuneError {
  const { target, runId } = command;
  const end = { kind: 'exited', exitCode, signal: null } as const;
  const reason = `the shell on the node ended with exit code ${exitCode} before the plugin began`;
  const facts = { node: target.name, runId, reason, stderrTail };
  return (
    becomeError(command, end, stderrTail) ??
    new RuneError('NODE_SETUP_FAILED', `Nothing ran on ${target.name}: ${reason}.`, facts)
  );
}
