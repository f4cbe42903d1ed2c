import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
        'the-alias': { host_key_fingerprints: [...sshd.hostKeyFingerprints] },
      }),
      lmm: (sshd) => {
        const file = join(sshd.directory, 'ssh_config');
        const lines = [`HostName ${sshd.host}`, `Port ${sshd.port}`, 'User root', 'ProxyJump bastion'];
        const bastion = [...lines.slice(0, 2), `User ${sshd.users.unprivileged}`, 'ProxyJump none'];
        writeFileSync(file, ['Host the-alias', ...lines, 'Host bastion', ...bastion, ''].join('\n'));
        const knownHosts = join(sshd.directory, 'known_hosts');
        writeFileSync(knownHosts, `${sshd.knownHostsLines.join('\n')}\n`);
        return { ssh_config: [file], known_hosts: [knownHosts] };
      },
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

  it('runs there also where only ssh_config of the mediator knows host, user and way', async () => {
    const { probe } = await world.client.getNode({ name: 'the-alias', probe: true });
    assert.equal(probe?.error?.errorData?.message, undefined);
    assert.equal(probe?.authenticated, true);
  });

  it('is not run where the jump host cannot find the node', async () => {
    const { probe } = await world.client.getNode({ name: 'nowhere.example', probe: true });
    assert.equal(probe?.error?.errorData?.name, 'NODE_UNREACHABLE');
    assert.match(probe.error.errorData.message, /cannot be reached: user cannot connect to it/);
    assert.deepEqual(probe.hostKeys, []);
  });
});
