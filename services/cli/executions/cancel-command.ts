import { toEps } from '../../shared/messages/eps.js';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { ExecutionState, executionStateToJSON } from '../../shared/gen/rune/v1/run.js';
import type { Execution } from '../../shared/gen/rune/v1/lom.js';
import { allExecutions } from '../catalogue/pages.js';
import { writeList } from '../catalogue/write-list.js';
import type { ExecutionsOptions } from '../commands/executions.js';
import { exitCodeOf, type ExitName } from '../exit-code.js';
import type { Io } from '../io.js';
import { isConfirmed, mayAsk } from '../question.js';
import { escapeText } from '../render/escape-text.js';
import { errorHeadline } from '../render/render-error.js';
import type { Session } from '../with-service.js';
import { renderExecutions } from './render-execution.js';
import { executionStateWord, UNFINISHED_STATES } from './state-words.js';

type CancelOptions = Extract<ExecutionsOptions, { kind: 'cancel' }>;

/** Calls at the same time. */
const CALLS_MAX = 8;

type Answer = { readonly executionId: string } & (
  { readonly state: ExecutionState } | { readonly error: RuneError }
);

const words = (count: number) => (count === 1 ? '1 execution' : `${count} executions`);

function describe(answer: Answer): string {
  if ('error' in answer) return errorHeadline(toEps(answer.error, { source: 'rune' }));
  const state = executionStateWord(answer.state);
  return UNFINISHED_STATES.includes(answer.state) ? state : `had ended already: ${state}`;
}

async function unfinished({ client, call }: Session, action: string | undefined): Promise<Execution[]> {
  const found: Execution[] = [];
  const filter = { states: [...UNFINISHED_STATES], ...(action === undefined ? {} : { action }) };
  for await (const execution of allExecutions(client, call, filter)) found.push(execution);
  return found;
}

/** The ids to cancel; undefined if the person does not want to after all. */
async function choose({ what, yes }: CancelOptions, io: Io, session: Session) {
  if ('ids' in what) return what.ids;
  const found = await unfinished(session, what.action);
  const ids = found.map(({ executionId }) => executionId);
  if (yes || ids.length === 0) return ids;
  const table = renderExecutions(found, io.nowMs());
  await io.stderr.write(table.map((line) => `${line}\n`).join(''));
  if (!mayAsk(io, false)) {
    throw new RuneError(
      'COMMAND_INVALID',
      `Nobody can be asked here: ${words(ids.length)} would be cancelled, add --yes.`,
    );
  }
  await io.stderr.write(`Type yes to cancel ${words(ids.length)}: `);
  return (await isConfirmed(io)) ? ids : undefined;
}

/** `rune executions cancel`: asks each to stop and reports each; answers the exit code of the worst refusal. */
export async function cancelCommand(options: CancelOptions, io: Io, session: Session): Promise<number> {
  const { client, call, output } = session;
  const ids = await choose(options, io, session);
  if (ids === undefined) {
    await io.stderr.write('Nothing was cancelled.\n');
    return EXIT_CODE.REFUSED;
  }
  const exits = new Set<ExitName>();
  const reason = options.reason ?? '';

  async function cancel(executionId: string): Promise<Answer> {
    try {
      const { state } = await client.cancelExecution({ executionId, reason }, call);
      return { executionId, state };
    } catch (thrown) {
      const error = RuneError.from(thrown);
      exits.add(error.row.exit);
      return { executionId, error };
    }
  }
  async function* answers(all: readonly string[]) {
    for (let at = 0; at < all.length; at += CALLS_MAX) {
      yield* await Promise.all(all.slice(at, at + CALLS_MAX).map(cancel));
    }
  }

  if (output === 'pretty') {
    for await (const answer of answers(ids)) {
      await io.stdout.write(`${escapeText(answer.executionId)}  ${describe(answer)}\n`);
    }
    if (ids.length === 0) await io.stderr.write('every execution has ended\n');
  } else {
    await writeList(io, output, answers(ids), {
      key: 'executions',
      none: '',
      json: (answer) => ({
        executionId: answer.executionId,
        ...('error' in answer
          ? { error: EpsError.toJSON(toEps(answer.error, { source: 'rune' })) }
          : { state: executionStateToJSON(answer.state) }),
      }),
      table: () => [],
    });
  }
  return exitCodeOf(exits, ExecutionState.SUCCEEDED);
}
