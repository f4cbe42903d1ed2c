import { toEps } from '../../shared/messages/eps.js';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { ExecutionState } from '../../shared/gen/rune/v1/run.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { LomClient } from '../client.js';
import { exitCodeOf } from '../exit-code.js';
import type { Interrupts } from '../io.js';
import { type EventSource, followEvents } from './follow-events.js';
import { createPatience } from './patience.js';
import type { Saver } from './save-outcomes.js';
import { addToTally, type Tally } from './tally.js';
import type { View } from './view.js';

/** After Ctrl-C, how long to wait for the service to accept the execution, whose id the cancel needs. */
const ACCEPT_WAIT_MS = 5_000;

/** What `watchExecution` needs. */
export interface Watch {
  readonly client: Pick<LomClient, 'run' | 'watchExecution' | 'cancelExecution'>;
  readonly source: EventSource;
  /** What is known of the execution; nothing if it is still to be accepted. */
  readonly tally: Tally;
  readonly view: View;
  readonly saver?: Saver | undefined;
  readonly interrupts: Interrupts;
  /** What the first interrupt does: cancel the execution and wait for its end, or leave it alone. */
  readonly onInterrupt: 'cancel' | 'leave';
  /** Aborts when nobody reads the results any more. */
  readonly readerGone: AbortSignal;
  readonly callTimeoutMs: number;
  /** How long a service that was lost is waited for; 0 for not at all. */
  readonly resumeForMs: number;
}

/** Why the stream was left before its end. */
type Leave = 'first interrupt' | 'second interrupt' | 'not accepted' | 'reader gone';

/**
 * Shows an execution until its end, also where the service is lost in between; answers the exit code. The first interrupt
 * cancels the execution and waits for the confirmed outcomes, or leaves; the second leaves at once, and so does a reader that
 * goes away; the execution may then go on, so its end is unknown. Throws the service's RuneError if nothing is known of the
 * execution when the stream ends.
 */
export async function watchExecution(watch: Watch): Promise<number> {
  const { client, tally, view, saver, interrupts, readerGone, resumeForMs } = watch;
  const leaving = new AbortController();
  const { signal } = leaving;
  let left: Leave | undefined;
  let lost = false;
  let acceptTimer: NodeJS.Timeout | undefined;
  let cancelAsked = false;

  const leave = (why: Leave) => {
    left ??= why;
    leaving.abort();
  };
  const cancel = async () => {
    if (cancelAsked || tally.executionId === '' || tally.final !== undefined) return;
    cancelAsked = true;
    clearTimeout(acceptTimer);
    const patience = createPatience({ forMs: resumeForMs, signal });
    for (let told = false; ; told = true) {
      try {
        await client.cancelExecution(
          { executionId: tally.executionId, reason: 'interrupted on the command line' },
          { timeoutMs: watch.callTimeoutMs, signal },
        );
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        const error = RuneError.from(thrown);
        if (!told) {
          void view.notice(
            `the cancel did not reach the service (${error.message}); press again to leave at once`,
          );
        }
        if (!(await patience.tryAgain(error))) return;
      }
    }
  };
  const onFirst = () => {
    if (watch.onInterrupt === 'leave') return leave('first interrupt');
    void view.notice('cancelling, waiting for the nodes to confirm; press again to leave at once');
    acceptTimer = setTimeout(() => leave('not accepted'), ACCEPT_WAIT_MS);
    void cancel();
  };
  const onSecond = () => leave('second interrupt');
  const onReaderGone = () => leave('reader gone');
  const take = async (event: RunResponse) => {
    addToTally(tally, event);
    if (lost) await view.notice('the service answers again');
    lost = false;
    if (interrupts.first.aborted) void cancel();
    await view.event(event, tally);
    await saver?.event(event);
  };
  const patience = createPatience({
    forMs: resumeForMs,
    signal,
    async tell({ message }) {
      lost = true;
      await view.notice(`the service was lost (${message}); trying for ${resumeForMs / 1000} s to go on`);
    },
  });

  interrupts.first.addEventListener('abort', onFirst, { once: true });
  interrupts.second.addEventListener('abort', onSecond, { once: true });
  readerGone.addEventListener('abort', onReaderGone, { once: true });
  let failure: RuneError | undefined;
  try {
    if (interrupts.first.aborted && tally.executionId === '') return EXIT_CODE.CANCELLED;
    if (tally.first !== undefined) await view.begin(tally);
    if (interrupts.first.aborted) onFirst();
    for await (const event of followEvents(client, watch.source, { patience, signal })) await take(event);
  } catch (error) {
    if (left === undefined) failure = RuneError.from(error);
  } finally {
    clearTimeout(acceptTimer);
    interrupts.first.removeEventListener('abort', onFirst);
    interrupts.second.removeEventListener('abort', onSecond);
    readerGone.removeEventListener('abort', onReaderGone);
    leaving.abort();
    await saver?.close();
  }

  if (failure !== undefined && tally.first === undefined) throw failure;
  const unfinished = tally.final === undefined && left === undefined;
  failure ??= unfinished
    ? new RuneError('OUTCOME_UNKNOWN', 'The stream ended before the execution did.')
    : undefined;
  await view.end(tally, failure === undefined ? undefined : toEps(failure, { source: 'rune' }));
  const words = left === undefined ? (unfinished ? goesOn(tally) : '') : farewell(left, tally);
  if (words !== '') await view.notice(words);
  const code = exitCodeOf(tally.exits, tally.final?.state ?? ExecutionState.UNSPECIFIED);
  return code === EXIT_CODE.SUCCEEDED && saver?.failed() === true ? EXIT_CODE.PLUGIN_FAILED : code;
}

function goesOn({ executionId, seq }: Tally): string {
  return `execution ${executionId} may still be running; to go on: rune executions watch ${executionId} --from-seq ${seq + 1}`;
}

function farewell(left: Leave, tally: Tally): string {
  const { executionId } = tally;
  if (left === 'reader gone') return '';
  if (left === 'first interrupt')
    return `stopped watching; execution ${executionId} goes on. To cancel it: rune executions cancel ${executionId}`;
  if (executionId !== '') return `left without waiting: ${goesOn(tally)}`;
  return left === 'not accepted'
    ? 'left: the service did not say whether it accepted the execution, so it may be running: rune executions list'
    : 'left before the service answered: the execution may be running: rune executions list';
}
