import { EXIT_CODE } from '../../shared/errors.js';
import { Execution } from '../../shared/gen/rune/v1/lom.js';
import { allExecutions } from '../catalogue/pages.js';
import { writeList } from '../catalogue/write-list.js';
import type { ExecutionsOptions } from '../commands/executions.js';
import { timeOf } from '../config/parse-time.js';
import type { Io } from '../io.js';
import type { Session } from '../with-service.js';
import { renderExecutions } from './render-execution.js';
import { executionStateOf } from './state-words.js';

/** `rune executions list`: answers the exit code; says on standard error that there are more than were asked for. */
export async function listExecutions(
  options: Extract<ExecutionsOptions, { kind: 'list' }>,
  io: Io,
  { client, call, output }: Session,
): Promise<number> {
  const { action, node, states, by, since, until, correlationId, limit } = options;
  const nowMs = io.nowMs();
  const filter = {
    states: states.map(executionStateOf),
    ...(action === undefined ? {} : { action }),
    ...(node === undefined ? {} : { node }),
    ...(by === undefined ? {} : { triggeredBy: by }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(since === undefined ? {} : { since: timeOf(since, nowMs) }),
    ...(until === undefined ? {} : { until: timeOf(until, nowMs) }),
  };
  let more = false;
  async function* newest() {
    let shown = 0;
    for await (const execution of allExecutions(client, call, filter, limit + 1)) {
      more = shown === limit;
      if (more) return;
      shown += 1;
      yield execution;
    }
  }
  await writeList(io, output, newest(), {
    key: 'executions',
    none: 'no executions',
    json: Execution.toJSON,
    table: (items) => renderExecutions(items, nowMs),
  });
  if (more) await io.stderr.write(`there are more than ${limit}: --limit, --since and --until choose\n`);
  return EXIT_CODE.SUCCEEDED;
}
