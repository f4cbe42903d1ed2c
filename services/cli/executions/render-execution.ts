import { type Execution, type ExecutionRun, Targets } from '../../shared/gen/rune/v1/lom.js';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import { describeCounts } from '../render/describe-counts.js';
import { waitWords } from '../render/describe-lock.js';
import { outcomeMs, outcomeRemarks, stateWords } from '../render/describe-outcome.js';
import { escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';
import { formatTime } from '../render/format-time.js';
import { errorDetails, errorHeadline } from '../render/render-error.js';
import { renderValue } from '../render/render-value.js';
import { renderTable } from '../render/table.js';
import { type ContentOptions, readableResult } from '../run/readable-result.js';
import { executionStateWord } from './state-words.js';

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

function countsOf({ counts }: Execution): string {
  return describeCounts(new Map(counts.map(({ state, count }) => [state, count]))).join(', ');
}

/** From its acceptance to its end, or until now. */
function tookOf({ createdAt, endedAt }: Execution, nowMs: number): string {
  if (createdAt === undefined) return '-';
  return formatDuration((endedAt?.getTime() ?? nowMs) - createdAt.getTime());
}

/** Executions as a table. */
export function renderExecutions(executions: readonly Execution[], nowMs: number): string[] {
  return renderTable(
    ['EXECUTION', 'ACCEPTED', 'TOOK', 'STATE', 'ACTION', 'RUNS', 'BY'].map((header) => ({ header })),
    executions.map((execution) =>
      [
        execution.executionId,
        formatTime(execution.createdAt),
        tookOf(execution, nowMs),
        executionStateWord(execution.state),
        `${execution.action} ${execution.version}`,
        countsOf(execution) || String(execution.runs),
        execution.triggeredBy,
      ].map(escapeText),
    ),
  );
}

/** One execution as lines for people, without its runs; what is not set is left out. */
export function renderExecution(execution: Execution, width: number, nowMs: number): string[] {
  const { action, version, runs, targets, params } = execution;
  const nodes = runs === 1 ? '1 node' : `${runs} nodes`;
  const facts = {
    state: executionStateWord(execution.state),
    runs: countsOf(execution),
    accepted: formatTime(execution.createdAt),
    [execution.endedAt === undefined ? 'so far' : 'took']: tookOf(execution, nowMs),
    'asked for by': execution.triggeredBy,
    reason: execution.reason,
    ...(execution.dryRun ? { 'dry run': 'yes' } : {}),
    ...(execution.cancelAsked ? { 'cancel asked': execution.cancelReason || 'without a reason' } : {}),
    'rerun of': execution.rerunOf,
    'correlation id': execution.correlationId,
    'request id': execution.requestId,
    events: String(execution.lastSeq),
    digest: execution.digest,
    targets: targets === undefined ? {} : Targets.toJSON(targets),
    parameters: params ?? {},
  };
  const set = Object.entries(facts).filter(([, value]) => Object.keys(value as object | string).length > 0);
  return [
    escapeText(`${action} ${version} on ${nodes}, execution ${execution.executionId}`),
    ...indent(renderValue(Object.fromEntries(set), width)),
  ];
}

function tookRun({ startedAt, endedAt }: ExecutionRun, nowMs: number): string {
  if (startedAt === undefined) return '-';
  return formatDuration((endedAt?.getTime() ?? nowMs) - startedAt.getTime());
}

/** The state of a run that has not ended, and what it waits for. */
function stateOf({ state, waiting }: Pick<ExecutionRun, 'state' | 'waiting'>): string {
  return waiting === undefined ? stateWords(state) : `${stateWords(state)}, ${waitWords(waiting)}`;
}

/** Runs as a table, without their outcomes. */
export function renderRuns(runs: readonly ExecutionRun[], nowMs: number): string[] {
  return renderTable(
    [
      { header: 'NODE' },
      { header: 'STATE' },
      { header: 'TOOK' },
      { header: 'ATTEMPT', align: 'number' },
      { header: 'MEDIATOR' },
    ],
    runs.map((run) =>
      [run.node, stateOf(run), tookRun(run, nowMs), String(run.attempt), run.mediator].map(escapeText),
    ),
  );
}

/** One run with its outcome as lines for people. */
export async function renderRun(
  run: ExecutionRun,
  width: number,
  content: ContentOptions,
): Promise<string[]> {
  const { node, state, outcome } = run;
  const name = escapeText(node);
  if (outcome === undefined) return [`${name}  ${escapeText(stateOf(run))}`];
  const { error, result } = outcome;
  const tookMs = outcomeMs(outcome);
  const took =
    tookMs === undefined ? '' : ` ${state === RunState.SUCCEEDED ? 'in' : 'after'} ${formatDuration(tookMs)}`;
  const headline = error === undefined ? '' : `  ${errorHeadline(error)}`;
  const value =
    result === undefined || result.notKeptBytes > 0
      ? []
      : renderValue(await readableResult(result, content), width - 2);
  return [
    `${name}  ${stateWords(state)}${took}${headline}`,
    ...indent(outcomeRemarks(outcome, name)),
    ...indent(error === undefined ? [] : errorDetails(error, { withLog: true })),
    ...indent(value),
  ];
}
