import assert from 'node:assert/strict';
import { RuneError } from '../../services/shared/errors.js';
import { PlanExecutionResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { runeWorld } from '../support/rune-world.js';
import { type LomScript, type ScriptedLom } from '../support/scripted-lom.js';
import { threeNodes } from './events.js';

describe('an action that can destroy data', () => {
  const { lomOf, run, startOnTerminal } = runeWorld();

  const destructive = (): LomScript => () => ({
    async *run(request) {
      if (!request.acknowledgeRisk)
        throw new RuneError('RISK_NOT_ACKNOWLEDGED', 'tail-log can destroy data.', { action: 'tail-log' });
      yield* threeNodes();
    },
    planExecution: async () =>
      PlanExecutionResponse.fromPartial({
        action: 'tail-log',
        version: '1.2.0',
        risk: 4,
        runs: [{ node: 'web01' }, { node: 'web02' }],
      }),
  });

  it('is refused without --yes where nobody can be asked', async () => {
    const { code, err } = await run(await lomOf(destructive()));
    assert.equal(code, 4);
    assert.match(err, /RISK_NOT_ACKNOWLEDGED.*\n.*\n.*--yes/);
  });

  it('runs with --yes', async () => {
    assert.equal((await run(await lomOf(destructive()), '--yes')).code, 6);
  });

  const onTerminal = (lom: ScriptedLom) => {
    const process = startOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address]);
    return process;
  };

  it('asks on a terminal, naming action and nodes, and runs exactly those after "yes"', async () => {
    const lom = await lomOf(destructive());
    const process = onTerminal(lom);
    await process.says('tail-log 1.2.0 can destroy data. It will run on 2 nodes: web01, web02.');
    process.child.stdin!.write('yes\n');
    assert.equal(await process.exited, 6);
    assert.equal(lom.runs[1]?.action, 'tail-log@1.2.0');
    assert.deepEqual(lom.runs[1]?.targets?.nodes, ['web01', 'web02']);
    assert.deepEqual(lom.runs[1]?.targets?.groups, []);
  });

  it('does not run after any other answer', async () => {
    const lom = await lomOf(destructive());
    const process = onTerminal(lom);
    await process.says('Type yes to run it');
    process.child.stdin!.write('y\n');
    assert.equal(await process.exited, 4);
    assert.equal(lom.runs.length, 1);
  });

  it('does not run after Ctrl-C at the question', async () => {
    const lom = await lomOf(destructive());
    const process = onTerminal(lom);
    await process.says('Type yes to run it');
    process.child.stdin!.write('\x03');
    assert.equal(await process.exited, 130);
    assert.equal(lom.runs.length, 1);
  });
});
