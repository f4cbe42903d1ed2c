import {
  ExecutionState,
  type LogLine,
  LogLevel,
  type LogLines,
  type Outcome,
  type Progress,
  type Result,
  RunState,
} from '../../shared/gen/rune/v1/run.js';
import type { Retry } from '../../shared/gen/rune/v1/lom.js';
import { type Io, mayColour } from '../io.js';
import { describeCounts } from '../render/describe-counts.js';
import { waitWords } from '../render/describe-lock.js';
import { formatTime } from '../render/format-time.js';
import { outcomeMs, outcomeRemarks, stateWords } from '../render/describe-outcome.js';
import { escapeBytes, escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';
import { errorDetails, errorHeadline } from '../render/render-error.js';
import { renderValue } from '../render/render-value.js';
import { createStyle, type Style } from '../render/style.js';
import { createFailureGroups } from './failure-groups.js';
import { createLiveRegion } from './live-region.js';
import { progressLine } from './progress-line.js';
import { createRate } from './rate.js';
import { type ContentOptions, readableResult } from './readable-result.js';
import type { Tally } from './tally.js';
import type { View } from './view.js';

/** Runs that are shown one a line at the bottom of a terminal; the rest is counted. */
const LIVE_RUNS_MAX = 12;
/** On a terminal, a success among more runs than this is counted and gets no line of its own. */
const QUIET_RUNS_MIN = 20;
/** Failures that are explained at once; later ones get one line and are explained by kind at the end. */
const EXPLAINED_FAILURES_MAX = 10;
/** On anything but a terminal, progress of one run is printed at most this often. */
const PROGRESS_EVERY_MS = 1000;
/** Where nothing limits a line, tables up to this width stay tables. */
const FILE_COLUMNS = 200;
const INDENT = '  ';

interface ActiveRun {
  readonly node: string;
  readonly sinceMs: number;
  progress: string;
  progressAtMs: number;
  logged: boolean;
}

const block = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');
const indent = (lines: readonly string[], by = INDENT) => lines.map((line) => by + line);

/** Said, because colours are not everywhere. */
const LEVEL_WORDS: Partial<Record<LogLevel, string>> = {
  [LogLevel.WARN]: 'warn: ',
  [LogLevel.ERROR]: 'error: ',
};

function logText({ content, truncated, level }: LogLine): string {
  const text =
    content?.$case === 'raw'
      ? escapeBytes(content.value)
      : content?.$case === 'text'
        ? escapeText(content.value)
        : '';
  return `${LEVEL_WORDS[level] ?? ''}${text}${truncated ? ' (cut)' : ''}`;
}

function dressLog(text: string, level: LogLevel, style: Style): string {
  if (level === LogLevel.ERROR) return style.red(text);
  if (level === LogLevel.WARN) return style.yellow(text);
  return level === LogLevel.DEBUG ? style.dim(text) : text;
}

function progressText({ percent, message, logStreaming }: Progress): string {
  // Nothing is heard until the end: there is no measure of it.
  if (logStreaming === false) return escapeText(message);
  return `${Math.round(percent)} % ${escapeText(message)}`.trimEnd();
}

function retryLines(name: string, { error, nextAttempt, nextAt, outcome }: Retry): string[] {
  const how =
    outcome === undefined ? 'did not start' : outcome.state === RunState.LOST ? 'is LOST' : 'was cut off';
  const why = error === undefined ? '' : `  ${errorHeadline(error)}`;
  return [
    `${name}  attempt ${nextAttempt - 1} ${how}, attempt ${nextAttempt} at ${formatTime(nextAt)}${why}`,
  ];
}

function dressState(state: RunState, style: Style): string {
  const words = stateWords(state);
  if (state === RunState.SUCCEEDED) return style.green(words);
  return state === RunState.CANCELLED || state === RunState.SKIPPED ? style.yellow(words) : style.red(words);
}

/**
 * An execution for a person: what happens on standard error (on a terminal with a region that is redrawn in place), results as
 * readable fields on standard output. Memory grows with the runs in flight, not with the number of nodes.
 */
export function createPrettyView(
  io: Pick<Io, 'stdout' | 'stderr' | 'env' | 'nowMs'>,
  content?: ContentOptions,
): View {
  const { stdout, stderr, env, nowMs } = io;
  const style = createStyle(mayColour(stderr, env));
  const heading = createStyle(mayColour(stdout, env));
  const active = new Map<string, ActiveRun>();
  const groups = createFailureGroups();
  const startedMs = nowMs();
  const rate = createRate();
  const ended = new Map<RunState, number>();
  let begun = false;
  let total = 0;
  let partial = false;
  let failures = 0;
  let cancelling = false;

  const activeLine = ({ node, sinceMs, progress }: ActiveRun) =>
    `${node}  ${cancelling ? 'cancelling' : 'running'} ${formatDuration(nowMs() - sinceMs)}  ${progress}`.trimEnd();

  const live = stderr.terminal && env['TERM'] !== 'dumb';
  const region = createLiveRegion({
    output: stderr,
    enabled: live,
    dress: style.dim,
    lines() {
      const shown = [...active.values()].slice(0, LIVE_RUNS_MAX).map(activeLine);
      const more = active.size - shown.length;
      if (more > 0) shown.push(`and ${more} more running`);
      if (total > 1) {
        shown.push(
          progressLine({
            total: partial ? undefined : total,
            ended,
            active: active.size,
            elapsedMs: nowMs() - startedMs,
            perSecond: rate.perSecond(nowMs()),
          }),
        );
      }
      return shown;
    },
  });

  const say = (lines: readonly string[]) => region.print(block(lines));

  function track(runId: string, node: string): ActiveRun {
    const known = active.get(runId);
    if (known !== undefined) return known;
    const run = { node: escapeText(node), sinceMs: nowMs(), progress: '', progressAtMs: 0, logged: false };
    active.set(runId, run);
    return run;
  }

  async function showLog(run: ActiveRun, { lines, droppedBytes }: LogLines): Promise<void> {
    run.logged = true;
    const prefix = style.dim(`${run.node} |`);
    await say([
      ...(droppedBytes > 0 ? [`${prefix} ${style.yellow(`(${droppedBytes} bytes of log dropped)`)}`] : []),
      ...lines.map((line) => `${prefix} ${dressLog(logText(line), line.level, style)}`.trimEnd()),
    ]);
  }

  async function showProgress(run: ActiveRun, progress: Progress): Promise<void> {
    run.progress = progressText(progress);
    if (stderr.terminal) return; // The live region shows it.
    if (nowMs() - run.progressAtMs < PROGRESS_EVERY_MS && progress.percent < 100) return;
    run.progressAtMs = nowMs();
    await say([`${run.node}  ${run.progress}`]);
  }

  async function showResult(node: string, result: Result): Promise<void> {
    const width = stdout.terminal ? stdout.size().columns - INDENT.length : FILE_COLUMNS;
    const lines = renderValue((await readableResult(result, content)) ?? {}, width);
    const single = total <= 1;
    if (single && lines.length === 1 && lines[0] === '(none)') return;
    const text = block(single ? lines : [heading.bold(`${node}:`), ...indent(lines)]);
    const write = () => stdout.write(text);
    await (stdout.terminal ? region.aside(write) : write());
  }

  async function showOutcome(runId: string, node: string, outcome: Outcome, action: string): Promise<void> {
    const run = track(runId, node);
    active.delete(runId);
    const { state, error, result } = outcome;
    ended.set(state, (ended.get(state) ?? 0) + 1);
    rate.note(nowMs());
    const tookMs = outcomeMs(outcome);
    const took =
      tookMs === undefined
        ? ''
        : ` ${state === RunState.SUCCEEDED ? 'in' : 'after'} ${formatDuration(tookMs)}`;
    const headline = error === undefined ? '' : `  ${errorHeadline(error)}`;
    const remarks = outcomeRemarks(outcome, run.node);
    const quiet = live && total >= QUIET_RUNS_MIN && state === RunState.SUCCEEDED && remarks.length === 0;
    const lines = quiet ? [] : [`${style.bold(run.node)}  ${dressState(state, style)}${took}${headline}`];
    if (error !== undefined) {
      failures += 1;
      groups.add(error, run.node, action);
    }
    if (failures <= EXPLAINED_FAILURES_MAX) {
      lines.push(...indent(remarks));
      if (error !== undefined) lines.push(...indent(errorDetails(error, { withLog: !run.logged })));
    } else {
      lines.push(...indent(remarks.filter((remark) => remark.includes('NOT confirmed'))));
    }
    if (lines.length > 0) await say(lines);
    if (result !== undefined && result.notKeptBytes === 0) await showResult(run.node, result);
  }

  async function begin(tally: Tally): Promise<void> {
    if (begun || tally.first === undefined) return;
    begun = true;
    const { action, version, runs } = tally.first;
    total = runs;
    partial = tally.partial;
    const nodes = runs === 1 ? '1 node' : `${runs} nodes`;
    await say([style.dim(escapeText(`${action} ${version} on ${nodes}, execution ${tally.executionId}`))]);
  }

  return {
    begin,
    async event({ runId, node, event }, tally) {
      await begin(tally);
      switch (event?.$case) {
        case 'execution':
          cancelling = event.value.state === ExecutionState.CANCELLING;
          return;
        case 'state':
          if (event.value === RunState.RUNNING) track(runId, node);
          return;
        case 'log':
          return showLog(track(runId, node), event.value);
        case 'progress':
          return showProgress(track(runId, node), event.value);
        case 'logTruncated':
          return say([
            `${style.dim(`${escapeText(node)} |`)} ${style.yellow(`(${event.value.droppedBytes} bytes of log not kept)`)}`,
          ]);
        case 'waiting':
          return say([
            `${style.bold(escapeText(node))}  ${style.yellow(escapeText(waitWords(event.value)))}`,
          ]);
        case 'retry':
          active.delete(runId);
          return say(retryLines(escapeText(node), event.value).map((line) => style.yellow(line)));
        case 'outcome':
          return showOutcome(runId, node, event.value, tally.first?.action ?? '');
        default:
          return;
      }
    },
    notice: (text) => say([style.yellow(escapeText(text))]),
    async end(tally, error) {
      await region.close();
      if (failures > EXPLAINED_FAILURES_MAX) await stderr.write(block(groups.lines(style)));
      const { startedAt, endedAt } = tally;
      // What is watched may have ended long ago.
      const known = startedAt !== undefined && endedAt !== undefined;
      const took = formatDuration(known ? endedAt.getTime() - startedAt.getTime() : nowMs() - startedMs);
      if (error !== undefined) {
        await stderr.write(
          block([style.red(errorHeadline(error)), ...indent(errorDetails(error, { withLog: true }))]),
        );
      }
      if (tally.first !== undefined && (total !== 1 || tally.final === undefined)) {
        const sum = [...tally.ended.values()].reduce((one, more) => one + more, 0);
        const unknown = partial ? 0 : Math.max(0, total - sum);
        const open = tally.final === undefined && unknown > 0 ? [`${unknown} not known to have ended`] : [];
        const counts = [...describeCounts(tally.ended), ...open];
        if (counts.length === 0) counts.push(total === 0 ? 'no nodes' : 'no run ended');
        await stderr.write(`${style.bold(counts.join(', '))} in ${took}\n`);
      }
    },
  };
}
