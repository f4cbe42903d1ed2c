import { RuneError } from '../../shared/errors.js';
import type { ExecutionsOptions } from '../commands/executions.js';
import { RESUME_FOR_MS } from '../commands/resume-option.js';
import type { Io } from '../io.js';
import { openView } from '../run/open-view.js';
import { isFinal } from '../../shared/messages/is-final.js';
import { createTally } from '../run/tally.js';
import { watchExecution } from '../run/watch-execution.js';
import type { Session } from '../with-service.js';

/** `rune executions watch ID`: answers the exit code of the execution, as `rune run` does. */
export async function watchCommand(
  options: Extract<ExecutionsOptions, { kind: 'watch' }>,
  io: Io,
  session: Session,
): Promise<number> {
  const { id, fromSeq, nodes, log } = options;
  const { client, call } = session;
  const { execution } = await client.getExecution({ executionId: id, pageSize: 1 }, call);
  if (execution === undefined) throw new RuneError('INTERNAL', 'The service answered without an execution.');
  const { state, lastSeq } = execution;
  if (fromSeq > (isFinal(state) ? lastSeq : lastSeq + 1)) {
    const reason = isFinal(state) ? `it ended with event ${lastSeq}` : `its newest event is ${lastSeq}`;
    throw new RuneError('FIELD_OUT_OF_RANGE', `--from-seq ${fromSeq}: ${reason}.`, { executionId: id });
  }
  const action = `${execution.action}@${execution.version}`;
  return watchExecution({
    client,
    source: { executionId: id, choice: { fromSeq, nodes, withoutLog: !log } },
    tally: createTally({ execution, partial: fromSeq > 1 || nodes.length > 0 }),
    view: openView(io, session, action, { saved: false }).view,
    interrupts: io.interrupts,
    onInterrupt: 'leave',
    readerGone: io.stdout.closed,
    callTimeoutMs: call.timeoutMs,
    resumeForMs: options.resumeForMs ?? RESUME_FOR_MS,
  });
}
