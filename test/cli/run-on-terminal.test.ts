import assert from 'node:assert/strict';
import { ExecutionState } from '../../services/shared/gen/rune/v1/run.js';
import { gate } from '../support/gate.js';
import { runeWorld } from '../support/rune-world.js';
import { createEvents, play, threeNodes } from './events.js';

describe('rune run on a terminal', () => {
  const { lomOf, startOnTerminal } = runeWorld();

  it('redraws one line a node in place, in colour', async () => {
    const end = gate();
    const lom = await lomOf(() => ({
      async *run() {
        const events = createEvents();
        yield events.accepted(2);
        yield events.running('web01');
        yield events.progress('web01', 40, 'pulling');
        await end.opened;
        yield events.succeeded('web01', { ok: true });
        yield events.succeeded('web02', { ok: true });
        yield events.final(ExecutionState.SUCCEEDED);
      },
    }));
    const process = startOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address]);
    await process.says('40 % pulling');
    end.open();
    assert.equal(await process.exited, 0);
    assert.match(process.out(), /\x1b\[2mweb01 {2}running .*40 % pulling/);
    assert.match(process.out(), /0 of 2 done/);
    assert.match(process.out(), /\x1b\[32msucceeded/);
    // What is drawn last is not the region: it was taken away.
    assert.match(process.out().trimEnd(), /2 succeeded\S* in [^\n]*$/);
  });

  it('is plain where NO_COLOR is set', async () => {
    const lom = await lomOf(() => ({ run: () => play(...threeNodes()) }));
    const process = startOnTerminal(['run', 'tail-log', '--group', 'web', '--server', lom.address], {
      env: { NO_COLOR: '1' },
    });
    assert.equal(await process.exited, 6);
    assert.doesNotMatch(process.out(), /\x1b\[\d*m/);
  });
});
