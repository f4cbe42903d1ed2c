import assert from 'node:assert/strict';
import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import { sshNode, startWorld, type World } from '../support/world.js';

describe('an action on a node behind a jump host', () => {
  let world: World;
  before(async () => {
    world = await startWorld({
      sshd: { hostKeyTypes: ['ed25519'] },
      nodes: (sshd) => ({
        inside: { ...sshNode(sshd, 'root'), jump: ['user'] },
        'nowhere.example': { user: 'root', jump: ['user'] },
      }),
    });
  });
  after(() => world.stop());

  it('runs there, and the answer names the way', async () => {
    const { node, probe } = await world.client.getNode({ name: 'inside', probe: true });
    assert.deepEqual(node?.jump, ['user']);
    assert.equal(probe?.authenticated, true);
    const states: (RunState | undefined)[] = [];
    for await (const { event } of world.client.run({ action: 'noop', targets: { nodes: ['inside'] } })) {
      if (event?.$case === 'outcome') states.push(event.value.state);
    }
    assert.deepEqual(states, [RunState.SUCCEEDED]);
    assert.match(world.sshd.log(), /Accepted publickey for rune-test/);
  });

  it('is not run where the jump host cannot find the node', async () => {
    const { probe } = await world.client.getNode({ name: 'nowhere.example', probe: true });
    assert.equal(probe?.error?.errorData?.name, 'NODE_UNREACHABLE');
    assert.match(probe.error.errorData.message, /cannot be reached: user cannot connect to it/);
    assert.deepEqual(probe.hostKeys, []);
  });
});
