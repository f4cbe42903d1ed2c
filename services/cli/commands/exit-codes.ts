import { EXIT_CODE } from '../../shared/errors.js';
import type { ExitName } from '../exit-code.js';
import { renderTable } from '../render/table.js';

const MEANING: Readonly<Record<ExitName, string>> = {
  SUCCEEDED: 'every run succeeded, or the question was answered',
  PLUGIN_FAILED:
    'the action ran and failed on some node, its results could not be saved, or a plugin did not pass lint or test',
  USAGE: 'the command line or the configuration file is wrong: nothing was sent',
  UNKNOWN: 'the action may have run on some node and nobody knows: check that node first',
  REFUSED: 'the service refused: nothing ran',
  SERVICE_UNREACHABLE: 'the service, or the mediator of some node, gave no answer',
  NODE_UNREACHABLE:
    'some node was not reached, or refused the login, or its host key is wrong: nothing ran there',
  TIMED_OUT: 'the action was stopped because it took too long',
  CANCELLED: 'the execution was cancelled (Ctrl-C, SIGTERM, or by somebody else)',
};

/** The help page of exit codes. */
export function exitCodesHelp(): string {
  const rows = (Object.keys(EXIT_CODE) as ExitName[]).map((name) => [
    String(EXIT_CODE[name]),
    name,
    MEANING[name],
  ]);
  return [
    'How rune ends, so that scripts can decide by it.',
    '',
    ...renderTable([{ header: 'CODE', align: 'number' }, { header: 'NAME' }, { header: 'MEANING' }], rows),
    '',
    'When the runs of one execution ended differently, the first that occurs counts: 3, 130, 1, 124, 6, 5, 4.',
    'A stream that ends before its execution did, for whatever reason, counts as 3.',
    'rune executions watch and rerun end with the code of the execution, as rune run does.',
    '',
  ].join('\n');
}
