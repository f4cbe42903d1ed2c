import assert from 'node:assert/strict';
import { createSentPlugins, type PluginSending } from '../../../services/lom/dispatch/sent-plugins.js';

describe('what a mediator has been sent', () => {
  it('is sent by the first run; others wait until it has arrived and are spared it', async () => {
    const sent = createSentPlugins();
    const first = await sent.ask('a');
    const order: string[] = [];
    const others = [1, 2, 3].map(async () => {
      const { isThere } = await sent.ask('a');
      order.push('asked');
      return isThere;
    });
    assert.equal(first.isThere, false);
    await new Promise(setImmediate);
    order.push('arrived');
    first.arrived();
    assert.deepEqual(await Promise.all(others), [true, true, true]);
    assert.deepEqual(order, ['arrived', 'asked', 'asked', 'asked']);
    assert.equal((await sent.ask('a')).isThere, true);
  });

  it('is sent again when the first run came to nothing', async () => {
    const sent = createSentPlugins();
    const first = await sent.ask('a');
    const waiting = sent.ask('a');
    first.failed();
    const second: PluginSending = await waiting;
    assert.equal(second.isThere, false);
    second.arrived();
    assert.equal((await sent.ask('a')).isThere, true);
  });

  it('makes nobody wait for another plugin', async () => {
    const sent = createSentPlugins();
    await sent.ask('a');
    assert.equal((await sent.ask('b')).isThere, false);
  });

  it('is sent along once more where the answer to the first run does not come', async () => {
    const sent = createSentPlugins();
    await sent.ask('a');
    assert.equal((await sent.ask('a')).isThere, false);
  });
});
