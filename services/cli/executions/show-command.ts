import { EXIT_CODE } from '../../shared/errors.js';
import { Execution, ExecutionRun } from '../../shared/gen/rune/v1/lom.js';
import { executionWithRuns } from '../catalogue/pages.js';
import type { ExecutionsOptions } from '../commands/executions.js';
import type { Io } from '../io.js';
import { escapeJson, escapeText } from '../render/escape-text.js';
import { createOutputSchema } from '../run/output-schema.js';
import type { Session } from '../with-service.js';
import { renderExecution, renderRun, renderRuns } from './render-execution.js';

const encode = (value: unknown) => escapeJson(JSON.stringify(value));
const block = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

/** `rune executions show ID`: answers the exit code. With outcomes, memory does not grow with the number of runs. */
export async function showExecution(
  { id, outcomes }: Extract<ExecutionsOptions, { kind: 'show' }>,
  io: Io,
  { client, call, output }: Session,
): Promise<number> {
  const { stdout, stderr } = io;
  const { execution, runs } = await executionWithRuns(client, call, { executionId: id, outcomes });
  if (output !== 'pretty') {
    const json = output === 'json';
    const first = encode({ execution: Execution.toJSON(execution) });
    await stdout.write(json ? `${first.slice(0, -1)},"runs":[` : `${first}\n`);
    let separator = '\n';
    for await (const run of runs) {
      const item = ExecutionRun.toJSON(run);
      await stdout.write(json ? separator + encode(item) : `${encode({ run: item })}\n`);
      separator = ',\n';
    }
    if (json) await stdout.write('\n]}\n');
    return EXIT_CODE.SUCCEEDED;
  }

  const width = stdout.size().columns;
  const nowMs = io.nowMs();
  await stdout.write(block(renderExecution(execution, width, nowMs)));
  const action = `${execution.action}@${execution.version}`;
  const outputSchema = createOutputSchema(client, action, call, (text) =>
    stderr.write(`${escapeText(text)}\n`),
  );
  const table: ExecutionRun[] = [];
  for await (const run of runs) {
    if (outcomes) await stdout.write(block(await renderRun(run, width, { outputSchema, saved: true })));
    else table.push(run);
  }
  if (table.length > 0) await stdout.write(block(renderRuns(table, nowMs)));
  return EXIT_CODE.SUCCEEDED;
}
