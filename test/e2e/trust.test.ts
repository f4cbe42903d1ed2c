import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadInventory } from '../support/load-inventory.js';
import { spawnRune } from '../support/spawn-rune.js';
import { startWorld, type World } from '../support/world.js';

describe('trusting the host keys of a node', () => {
  let world: World;
  let knownHosts: string;
  before(async () => {
    world = await startWorld({
      sshd: { rootOnly: true },
      nodes: (sshd) => {
        knownHosts = join(sshd.directory, 'known_hosts');
        return { stranger: { address: sshd.host, port: sshd.port, user: 'root' } };
      },
      lmm: () => ({ known_hosts: [knownHosts], ssh: { files_recheck: '0ms' } }),
    });
  });
  after(() => world.stop());

  const trust = async (...flags: string[]): Promise<string> => {
    const rune = spawnRune(['nodes', 'trust', 'stranger', ...flags, '--yes', '--server', world.lom.address]);
    assert.equal(await rune.exited, 0, rune.err());
    return rune.out();
  };
  const probe = async (): Promise<string> =>
    (await world.client.getNode({ name: 'stranger', probe: true })).probe?.error?.errorData?.name ??
    'connected';

  it('by known_hosts lines makes a mediator that reads them accept it', async () => {
    assert.equal(await probe(), 'HOST_KEY_UNKNOWN');
    await writeFile(knownHosts, await trust('--known-hosts'));
    assert.equal(await probe(), 'connected');
  });

  it('by the inventory pins every key that the node has', async () => {
    const file = join(world.directory, 'inventory.yaml');
    await trust('--inventory', file);
    const pins = (await loadInventory([file])).get('stranger').hostKeyFingerprints;
    assert.deepEqual(pins.toSorted(), [...world.sshd.hostKeyFingerprints].toSorted());
  });
});
