import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { newId } from '../../shared/messages/ids.js';
import { PlanExecutionResponse } from '../../shared/gen/rune/v1/lom.js';
import { RESUME_FOR_MS } from '../commands/resume-option.js';
import type { RunOptions } from '../commands/run.js';
import type { Io } from '../io.js';
import { collectParams } from '../params/collect-params.js';
import { inputSchemaReader } from '../params/input-schema.js';
import { mayAsk } from '../question.js';
import { escapeText } from '../render/escape-text.js';
import type { Deps } from '../connect.js';
import { untilInterrupted } from '../until-interrupted.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import { buildRequest, type RequestFields } from './build-request.js';
import { confirmRisk } from './confirm-risk.js';
import { openView } from './open-view.js';
import { renderPlan } from './render-plan.js';
import { createSaver } from './save-outcomes.js';
import { submit } from './submit.js';
import { createTally } from './tally.js';
import { watchExecution } from './watch-execution.js';
import { writeSubmitted } from './write-submitted.js';

async function paramsOf(options: RunOptions, io: Io, session: Session): Promise<Record<string, unknown>> {
  return collectParams({
    action: options.action,
    assignments: options.params,
    paramsFile: options.paramsFile,
    stdin: io.stdin,
    signal: io.interrupts.first,
    inputSchema: inputSchemaReader(options.action, session),
    warn: (message) => io.stderr.write(`${escapeText(message)}\n`),
  });
}

async function plan(io: Io, { client, call, output }: Session, request: RequestFields): Promise<number> {
  const answer = await client.planExecution(request, call);
  await writeAnswer(io.stdout, output, {
    json: () => PlanExecutionResponse.toJSON(answer),
    pretty: () => renderPlan(answer),
  });
  return EXIT_CODE.SUCCEEDED;
}

async function execute(
  options: RunOptions,
  io: Io,
  session: Session,
  request: RequestFields,
): Promise<number> {
  const { saveDirectory, cancelOnDisconnect, requestId = newId() } = options;
  // Services of our own do not come back.
  const resumeForMs = options.standalone === undefined ? (options.resumeForMs ?? RESUME_FOR_MS) : 0;
  if (options.mode === 'detach') {
    const submitted = await submit(
      (call) => session.client.submitExecution({ ...request, requestId }, call),
      { ...session.call, requestId, resumeForMs, tell: (text) => io.stderr.write(`${escapeText(text)}\n`) },
    );
    return writeSubmitted(io, session.output, submitted);
  }
  const { view, outputSchema } = openView(io, session, options.action, {
    saved: saveDirectory !== undefined,
  });
  const saver =
    saveDirectory === undefined
      ? undefined
      : await untilInterrupted(
          io.interrupts,
          createSaver(saveDirectory, outputSchema, (text) => view.notice(text)),
        );
  return watchExecution({
    client: session.client,
    source: { request: { ...request, cancelOnDisconnect, requestId } },
    tally: createTally(),
    view,
    saver,
    interrupts: io.interrupts,
    onInterrupt: 'cancel',
    readerGone: io.stdout.closed,
    callTimeoutMs: options.service.callTimeoutMs,
    resumeForMs,
  });
}

const readsStdin = ({ params, paramsFile }: RunOptions) =>
  paramsFile === '-' || params.some(({ kind, value }) => kind === 'file' && value === '-');

/** `rune run`: answers the exit code. The service decides what is destructive, so the question costs nothing otherwise. */
export async function runCommand(options: RunOptions, deps: Deps): Promise<number> {
  const { io } = deps;
  const { standalone } = options;
  const work = async (session: Session): Promise<number> => {
    const params = await untilInterrupted(io.interrupts, paramsOf(options, io, session));
    const request = buildRequest(options, session.defaults, params);
    if (options.mode === 'plan') return plan(io, session, request);
    try {
      return await execute(options, io, session, request);
    } catch (error) {
      const ask =
        error instanceof RuneError &&
        error.name === 'RISK_NOT_ACKNOWLEDGED' &&
        mayAsk(io, readsStdin(options));
      if (!ask) throw error;
      const confirmed = await confirmRisk(io, session, request);
      if (confirmed === undefined) throw error;
      return execute(options, io, session, confirmed);
    }
  };
  if (standalone === undefined) return withService(deps, options.service, work);
  const { startServices } = await import('../local-services/start-services.js');
  return withService(deps, options.service, work, () =>
    startServices({ ...standalone, listen: '127.0.0.1:0', env: io.env, signal: io.interrupts.first }),
  );
}
