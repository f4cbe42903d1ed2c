import { toEps } from '../../shared/eps.js';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { ExecutionState } from '../../shared/gen/rune/v1/run.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { LomClient } from '../client.js';
import { exitCodeOf } from '../exit-code.js';
import type { Interrupts } from '../io.js';
import type { Saver } from './save-outcomes.js';
import { addToTally, createTally, type Tally } from './tally.js';
import type { View } from './view.js';

/** After Ctrl-C, how long to wait for the service to accept the execution, whose id the cancel needs. */
const ACCEPT_WAIT_MS = 5_000;

/** What `watchExecution` needs. */
export interface Watch {
  readonly client: Pick<LomClient, 'run' | 'cancelExecution'>;
  readonly request: Parameters<LomClient['run']>[0];
  readonly view: View;
  readonly saver?: Saver | undefined;
  readonly interrupts: Interrupts;
  /** Aborts when nobody reads the results any more. */
  readonly readerGone: AbortSignal;
  readonly callTimeoutMs: number;
}

/** Why the stream was left before its end. */
type Leave = 'second interrupt' | 'not accepted' | 'reader gone';

/**
 * Runs an execution and shows it until its end; answers the exit code. The first interrupt cancels the execution and waits for
 * the confirmed outcomes, the second leaves at once, and so does a reader that goes away; the execution may then go on, so its end is unknown. Throws
 * the service's RuneError if the stream ended before its first event.
 */
export async function watchExecution(watch: Watch): Promise<number> {
  const { client, request, view, saver, interrupts, readerGone } = watch;
  const tally = createTally();
  const leaving = new AbortController();
  let left: Leave | undefined;
  let acceptTimer: NodeJS.Timeout | undefined;
  let cancelAsked = false;

  const leave = (why: Leave) => {
    left ??= why;
    leaving.abort();
  };
  const cancel = () => {
    if (cancelAsked || tally.executionId === '' || tally.final !== undefined) return;
    cancelAsked = true;
    clearTimeout(acceptTimer);
    client
      .cancelExecution(
        { executionId: tally.executionId, reason: 'interrupted on the command line' },
        { timeoutMs: watch.callTimeoutMs, signal: leaving.signal },
      )
      .catch((error: unknown) => {
        if (!leaving.signal.aborted) {
          void view.notice(
            `the cancel did not reach the service (${RuneError.from(error).message}); press again to leave at once`,
          );
        }
      });
  };
  const onFirst = () => {
    void view.notice('cancelling, waiting for the nodes to confirm; press again to leave at once');
    acceptTimer = setTimeout(() => leave('not accepted'), ACCEPT_WAIT_MS);
    cancel();
  };
  const onSecond = () => leave('second interrupt');
  const onReaderGone = () => leave('reader gone');
  const take = async (event: RunResponse) => {
    addToTally(tally, event);
    if (interrupts.first.aborted) cancel();
    await view.event(event, tally);
    await saver?.event(event);
  };

  interrupts.first.addEventListener('abort', onFirst, { once: true });
  interrupts.second.addEventListener('abort', onSecond, { once: true });
  readerGone.addEventListener('abort', onReaderGone, { once: true });
  let failure: RuneError | undefined;
  try {
    if (interrupts.first.aborted) return EXIT_CODE.CANCELLED;
    for await (const event of client.run(request, { signal: leaving.signal })) await take(event);
  } catch (error) {
    if (left === undefined) failure = RuneError.from(error);
  } finally {
    clearTimeout(acceptTimer);
    interrupts.first.removeEventListener('abort', onFirst);
    interrupts.second.removeEventListener('abort', onSecond);
    readerGone.removeEventListener('abort', onReaderGone);
    await saver?.close();
  }

  if (failure !== undefined && tally.first === undefined) throw failure;
  const unfinished = tally.final === undefined && left === undefined;
  failure ??= unfinished
    ? new RuneError('OUTCOME_UNKNOWN', 'The stream ended before the execution did.')
    : undefined;
  await view.end(tally, failure === undefined ? undefined : toEps(failure, { source: 'rune' }));
  if (left !== undefined && left !== 'reader gone') await view.notice(farewell(left, tally));
  const code = exitCodeOf(tally.exits, tally.final?.state ?? ExecutionState.UNSPECIFIED);
  return code === EXIT_CODE.SUCCEEDED && saver?.failed() === true ? EXIT_CODE.PLUGIN_FAILED : code;
}

function farewell(left: Leave, { executionId }: Tally): string {
  if (executionId !== '') return `left without waiting: execution ${executionId} may still be running`;
  return left === 'not accepted'
    ? 'left: the service did not say whether it accepted the execution, so it may be running'
    : 'left before the service answered: the execution may be running';
}
