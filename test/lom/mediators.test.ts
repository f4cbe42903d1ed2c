import assert from 'node:assert/strict';
import { Node } from '../../services/shared/gen/rune/v1/run.js';
import { rankMediators, type MediatorEndpoint } from '../../services/lom/mediators.js';

const node = (name: string, zone = ''): Node => Node.fromPartial({ name, zone });
const endpoint = (address: string, zone = ''): MediatorEndpoint => ({ address, zone });

describe('the choice of a mediator', () => {
  const three = ['a:1', 'b:1', 'c:1'].map((address) => endpoint(address));
  const names = Array.from({ length: 3000 }, (_, index) => `node-${index}`);
  const first = (name: string, endpoints: MediatorEndpoint[]): string | undefined =>
    rankMediators(node(name), endpoints)[0]?.address;

  it('is the same for a node every time, whatever the order of the configuration', () => {
    for (const name of names.slice(0, 50)) assert.equal(first(name, three), first(name, three.toReversed()));
  });

  it('spreads the nodes evenly', () => {
    const shares = new Map<string | undefined, number>();
    for (const name of names) shares.set(first(name, three), (shares.get(first(name, three)) ?? 0) + 1);
    for (const share of shares.values()) assert.ok(share > 850 && share < 1150, `${share} of 3000`);
  });

  it('moves only the share of a mediator that joins', () => {
    const four = [...three, endpoint('d:1')];
    const moved = names.filter((name) => first(name, three) !== first(name, four));
    assert.ok(moved.every((name) => first(name, four) === 'd:1'));
    assert.ok(moved.length > 600 && moved.length < 900, `${moved.length} of 3000`);
  });

  it('stays within the zone of the node', () => {
    const endpoints = [endpoint('a:1', 'eu'), endpoint('b:1', 'us'), endpoint('c:1')];
    assert.deepEqual(rankMediators(node('n', 'us'), endpoints), [endpoint('b:1', 'us')]);
    assert.deepEqual(rankMediators(node('n'), endpoints), [endpoint('c:1')]);
    assert.deepEqual(rankMediators(node('n', 'asia'), endpoints), []);
  });
});
