import { EXIT_CODE } from '../../shared/errors.js';
import { SubmitExecutionResponse } from '../../shared/gen/rune/v1/lom.js';
import type { Io } from '../io.js';
import type { OutputFormat } from '../output-format.js';
import { escapeText } from '../render/escape-text.js';
import { writeAnswer } from '../write-answer.js';
import type { Submitted } from './submit.js';

/** Says which execution goes on without us: its id alone on standard output, how to watch it on standard error. */
export async function writeSubmitted(
  io: Pick<Io, 'stdout' | 'stderr'>,
  output: OutputFormat,
  { execution, existing }: Submitted,
): Promise<number> {
  const id = escapeText(execution.executionId);
  await writeAnswer(io.stdout, output, {
    json: () => SubmitExecutionResponse.toJSON({ header: undefined, execution, existing }),
    pretty: () => [id],
  });
  if (existing) await io.stderr.write('an earlier request with this request id made it\n');
  await io.stderr.write(`to watch it: rune executions watch ${id}\n`);
  return EXIT_CODE.SUCCEEDED;
}
