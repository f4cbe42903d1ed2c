import { RuneError } from '../../shared/errors.js';
import { newId } from '../../shared/messages/ids.js';
import { RunState } from '../../shared/gen/rune/v1/run.js';
import type { ExecutionsOptions } from '../commands/executions.js';
import { RESUME_FOR_MS } from '../commands/resume-option.js';
import type { Io } from '../io.js';
import { collectParams } from '../params/collect-params.js';
import { inputSchemaReader } from '../params/input-schema.js';
import { mayAsk } from '../question.js';
import { escapeText } from '../render/escape-text.js';
import { askRisk, NODES_NAMED_MAX } from '../run/confirm-risk.js';
import { ALL_EVENTS } from '../run/follow-events.js';
import { openView } from '../run/open-view.js';
import { submit, type Submitted } from '../run/submit.js';
import { createTally } from '../run/tally.js';
import { watchExecution } from '../run/watch-execution.js';
import { writeSubmitted } from '../run/write-submitted.js';
import type { Session } from '../with-service.js';

type RerunOptions = Extract<ExecutionsOptions, { kind: 'rerun' }>;

/** Runs that ended without success. */
const FAILED: RunState[] = [
  RunState.FAILED,
  RunState.TIMED_OUT,
  RunState.CANCELLED,
  RunState.SKIPPED,
  RunState.LOST,
];

/** Asks by what is recorded: the same version runs on those nodes and no others. */
async function isConfirmed({ id, onlyFailed }: RerunOptions, io: Io, session: Session): Promise<boolean> {
  const { execution, runs } = await session.client.getExecution(
    { executionId: id, pageSize: NODES_NAMED_MAX, states: onlyFailed ? FAILED : [] },
    session.call,
  );
  if (execution === undefined) throw new RuneError('INTERNAL', 'The service answered without an execution.');
  const { action, version, counts } = execution;
  const failed = counts
    .filter(({ state }) => FAILED.includes(state))
    .reduce((sum, { count }) => sum + count, 0);
  return askRisk(io, {
    action,
    version,
    nodes: runs.map(({ node }) => node),
    runs: onlyFailed ? failed : execution.runs,
  });
}

/** The secrets that are given again, as the action of the execution takes them. */
async function secretsOf({ id, params }: RerunOptions, io: Io, session: Session) {
  if (params.length === 0) return undefined;
  const { execution } = await session.client.getExecution({ executionId: id, pageSize: 1 }, session.call);
  const action = `${execution?.action ?? ''}@${execution?.version ?? ''}`;
  return collectParams({
    action,
    assignments: params,
    stdin: io.stdin,
    signal: io.interrupts.first,
    inputSchema: inputSchemaReader(action, session),
    warn: (message) => io.stderr.write(`${escapeText(message)}\n`),
  });
}

/** `rune executions rerun ID`: answers the exit code of the new execution, as `rune run` does. */
export async function rerunCommand(options: RerunOptions, io: Io, session: Session): Promise<number> {
  const { id, onlyFailed, reason, requestId = newId(), resumeForMs = RESUME_FOR_MS } = options;
  const { client, call, output } = session;
  const secretParams = await secretsOf(options, io, session);
  const send = (acknowledgeRisk: boolean): Promise<Submitted> => {
    const request = {
      executionId: id,
      onlyFailed,
      requestId,
      acknowledgeRisk,
      ...(secretParams === undefined ? {} : { secretParams }),
      ...(reason === undefined ? {} : { reason }),
    };
    return submit((each) => client.rerunExecution(request, each), {
      ...call,
      requestId,
      resumeForMs,
      tell: (text) => io.stderr.write(`${escapeText(text)}\n`),
    });
  };
  const readsStdin = options.params.some(({ kind, value }) => kind === 'file' && value === '-');
  const submitted = await send(options.acknowledgeRisk).catch(async (error: unknown) => {
    const asks =
      error instanceof RuneError && error.name === 'RISK_NOT_ACKNOWLEDGED' && mayAsk(io, readsStdin);
    if (!asks || !(await isConfirmed(options, io, session))) throw error;
    return send(true);
  });
  if (options.detach) return writeSubmitted(io, output, submitted);

  const { execution } = submitted;
  return watchExecution({
    client,
    source: { executionId: execution.executionId, choice: ALL_EVENTS },
    tally: createTally({ execution, partial: false }),
    view: openView(io, session, `${execution.action}@${execution.version}`, { saved: false }).view,
    interrupts: io.interrupts,
    onInterrupt: 'cancel',
    readerGone: io.stdout.closed,
    callTimeoutMs: call.timeoutMs,
    resumeForMs,
  });
}
