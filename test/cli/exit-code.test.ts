import assert from 'node:assert/strict';
import { exitCodeOf, type ExitName, exitNameOfOutcome } from '../../services/cli/exit-code.js';
import { exitCodesHelp } from '../../services/cli/commands/exit-codes.js';
import { EXIT_CODE, type ErrorName } from '../../services/shared/errors.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { failure } from './events.js';

describe('the exit code of a run', () => {
  const outcomes: [RunState, ErrorName | undefined, ExitName][] = [
    [RunState.SUCCEEDED, undefined, 'SUCCEEDED'],
    [RunState.FAILED, 'PLUGIN_FAILED', 'PLUGIN_FAILED'],
    [RunState.FAILED, 'OUTPUT_NOT_JSON', 'PLUGIN_FAILED'],
    [RunState.FAILED, 'NODE_UNREACHABLE', 'NODE_UNREACHABLE'],
    [RunState.FAILED, 'AUTHENTICATION_FAILED', 'NODE_UNREACHABLE'],
    [RunState.FAILED, 'HOST_KEY_CHANGED', 'NODE_UNREACHABLE'],
    [RunState.FAILED, 'NODE_SETUP_FAILED', 'NODE_UNREACHABLE'],
    [RunState.FAILED, 'MEDIATOR_UNAVAILABLE', 'SERVICE_UNREACHABLE'],
    [RunState.FAILED, 'NODE_IN_MAINTENANCE', 'REFUSED'],
    [RunState.TIMED_OUT, 'RUN_TIMED_OUT', 'TIMED_OUT'],
    [RunState.CANCELLED, 'RUN_CANCELLED', 'CANCELLED'],
    [RunState.SKIPPED, 'NODE_UNREACHABLE', 'REFUSED'],
    [RunState.LOST, 'OUTCOME_UNKNOWN', 'UNKNOWN'],
    [RunState.RUNNING, undefined, 'UNKNOWN'],
  ];
  for (const [state, name, expected] of outcomes) {
    it(`state ${state} with ${name ?? 'no error'} means ${expected}`, () => {
      const error = name === undefined ? undefined : failure(name, 'message', 'web01');
      assert.equal(exitNameOfOutcome({ state, error }), expected);
    });
  }

  it('a failure whose name is not known counts as a failed plugin', () => {
    const error = failure('PLUGIN_FAILED', 'message', 'web01');
    const foreign = { ...error, errorData: { ...error.errorData!, name: 'FROM_THE_FUTURE' } };
    assert.equal(exitNameOfOutcome({ state: RunState.FAILED, error: foreign }), 'PLUGIN_FAILED');
  });
});

describe('the exit code of an execution', () => {
  const { SUCCEEDED, PARTIAL, FAILED, TIMED_OUT, CANCELLED, UNSPECIFIED } = ExecutionState;
  const cases: [ExitName[], ExecutionState, number][] = [
    [['SUCCEEDED'], SUCCEEDED, 0],
    [[], SUCCEEDED, 0],
    [['SUCCEEDED', 'PLUGIN_FAILED'], PARTIAL, 1],
    [['PLUGIN_FAILED', 'NODE_UNREACHABLE'], FAILED, 1],
    [['PLUGIN_FAILED', 'TIMED_OUT', 'NODE_UNREACHABLE', 'UNKNOWN'], FAILED, 3],
    [['UNKNOWN', 'CANCELLED'], CANCELLED, 3],
    [['SUCCEEDED', 'NODE_UNREACHABLE'], PARTIAL, 6],
    [['TIMED_OUT', 'NODE_UNREACHABLE'], FAILED, 124],
    [['TIMED_OUT'], TIMED_OUT, 124],
    [['PLUGIN_FAILED', 'TIMED_OUT'], FAILED, 1],
    [['NODE_UNREACHABLE', 'SERVICE_UNREACHABLE', 'REFUSED'], FAILED, 6],
    [['SERVICE_UNREACHABLE', 'REFUSED'], FAILED, 5],
    [['REFUSED'], FAILED, 4],
    [['CANCELLED'], CANCELLED, 130],
    [['CANCELLED', 'PLUGIN_FAILED'], CANCELLED, 130],
    [['SUCCEEDED'], CANCELLED, 130],
    [['SUCCEEDED'], UNSPECIFIED, 3],
    [[], UNSPECIFIED, 3],
  ];
  for (const [runs, state, expected] of cases) {
    it(`${runs.join(' and ') || 'no run'} in execution state ${state} is ${expected}`, () => {
      assert.equal(exitCodeOf(new Set(runs), state), expected);
    });
  }

  it('every code is explained by rune help exit-codes', () => {
    const help = exitCodesHelp();
    for (const [name, code] of Object.entries(EXIT_CODE))
      assert.match(help, new RegExp(`^ *${code}  ${name} `, 'm'));
  });
});
