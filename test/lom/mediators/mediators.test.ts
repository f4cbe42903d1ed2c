import assert from 'node:assert/strict';
import {
  chooseMediator,
  configuredMediators,
  createMediators,
  type KnownMediator,
  type Mediators,
} from '../../../services/lom/mediators/mediators.js';
import { RuneError } from '../../../services/shared/errors.js';
import { Node } from '../../../services/shared/gen/rune/v1/run.js';

const NODES = Array.from({ length: 3000 }, (_, index) => `node-${index}`);
const MEDIATORS_MAX = 6;

const node = (name: string, zone = ''): Node => Node.fromPartial({ name, zone });
const addressOf = (index: number): string => `mediator-${index}:50052`;
const fleet = (count: number): KnownMediator[] =>
  configuredMediators(Array.from({ length: count }, (_, index) => ({ address: addressOf(index), zone: '' })));
const registered = (address: string, fields: Partial<KnownMediator> = {}): KnownMediator => ({
  address,
  zone: '',
  name: `lmm-${address[0]}`,
  transports: ['ssh'],
  runsMax: 2,
  runsActive: 0,
  saidAtMs: 1,
  trouble: undefined,
  ...fields,
});
const choose = (mediators: Mediators, name: string, transport = 'ssh'): string | undefined =>
  chooseMediator(mediators.candidates(node(name), transport))?.address;
const first = (known: readonly KnownMediator[], name: string): string | undefined =>
  choose(
    createMediators(() => known),
    name,
  );

describe('the choice of a mediator', () => {
  it('is the same for a node every time, whatever the order in which mediators are known', () => {
    const three = fleet(3);
    for (const name of NODES.slice(0, 50)) assert.equal(first(three, name), first(three.toReversed(), name));
  });

  it('is the same for all nodes of a dispatch group, and spreads the groups', () => {
    const mediators = createMediators(() => fleet(3));
    const chosen = (group: string): Set<string | undefined> =>
      new Set(
        NODES.slice(0, 50).map(
          (name) => chooseMediator(mediators.candidates(node(name), 'ssm', group))?.address,
        ),
      );
    const groups = Array.from({ length: 20 }, (_, index) => chosen(`execution.${index}`));
    for (const group of groups) assert.equal(group.size, 1);
    assert.equal(new Set(groups.flatMap((group) => [...group])).size, 3);
  });

  it('spreads the nodes evenly over any number of mediators', () => {
    for (let count = 2; count <= MEDIATORS_MAX; count += 1) {
      const shares = new Map<string | undefined, number>();
      for (const name of NODES) {
        const chosen = first(fleet(count), name);
        shares.set(chosen, (shares.get(chosen) ?? 0) + 1);
      }
      const fair = NODES.length / count;
      assert.equal(shares.size, count);
      for (const share of shares.values())
        assert.ok(share > fair * 0.8 && share < fair * 1.2, `${share} of ${fair} with ${count}`);
    }
  });

  it('moves only the fair share of a mediator that joins or leaves, and only to it or away from it', () => {
    for (let count = 1; count < MEDIATORS_MAX; count += 1) {
      const [before, after] = [fleet(count), fleet(count + 1)];
      const moved = NODES.filter((name) => first(before, name) !== first(after, name));
      assert.ok(moved.every((name) => first(after, name) === addressOf(count)));
      const fair = NODES.length / (count + 1);
      assert.ok(moved.length > fair * 0.8 && moved.length < fair * 1.2, `${moved.length} of ${fair}`);
    }
  });

  it('stays within the zone of the node', () => {
    const known = configuredMediators([
      { address: 'a:1', zone: 'eu' },
      { address: 'b:1', zone: 'us' },
      { address: 'c:1', zone: '' },
    ]);
    const addresses = (zone: string): string[] =>
      createMediators(() => known)
        .candidates(node('n', zone), 'ssh')
        .map(({ address }) => address);
    assert.deepEqual([addresses('us'), addresses(''), addresses('asia')], [['b:1'], ['c:1'], []]);
  });

  it('passes over one that does not offer the transport, or is in trouble, and says why', () => {
    const known = [
      registered('a:1', { transports: ['local'] }),
      registered('b:1', { trouble: { use: 'no', passing: true, words: 'silent for 12s' } }),
      registered('c:1'),
    ];
    const candidates = createMediators(() => known).candidates(node('n'), 'ssh');
    assert.equal(chooseMediator(candidates)?.address, 'c:1');
    assert.deepEqual(
      new Map(candidates.map(({ address, trouble }) => [address, trouble?.words])),
      new Map([
        ['a:1', 'does not offer ssh'],
        ['b:1', 'silent for 12s'],
        ['c:1', undefined],
      ]),
    );
  });

  it('goes to the next one while the first is full, counting its own runs and those of others', () => {
    let known = [registered('a:1'), registered('b:1')];
    const mediators = createMediators(() => known);
    const name = NODES.find((each) => choose(mediators, each) === 'a:1') ?? '';
    const end = mediators.begin('a:1');
    assert.equal(choose(mediators, name), 'a:1');
    // Two runs by its own word: one is ours, the other somebody else's.
    known = [registered('a:1', { runsActive: 2, saidAtMs: 2 }), registered('b:1')];
    assert.equal(choose(mediators, name), 'b:1');
    end();
    assert.equal(choose(mediators, name), 'a:1');
  });

  it('asks one that refused a run as full again after a pause, with few runs first', () => {
    let nowMs = 1_000_000;
    const mediators = createMediators(() => configuredMediators([{ address: 'a:1', zone: '' }]), {
      nowMs: () => nowMs,
      random: () => 0,
    });
    const full = new RuneError('MEDIATOR_FULL', 'It is full.');
    const ends = [mediators.begin('a:1'), mediators.begin('a:1')];
    mediators.refused('a:1', full);
    ends.pop()?.();
    assert.equal(choose(mediators, 'n'), undefined);
    nowMs += 1_000;
    assert.equal(choose(mediators, 'n'), 'a:1');
    ends.push(mediators.begin('a:1'));
    assert.equal(choose(mediators, 'n'), undefined, 'twice as many as fitted are tried, no more');
    ends.pop()?.();
    assert.equal(choose(mediators, 'n'), 'a:1');
  });

  it('waits as long as a full one said, and up to a quarter longer, but not longer than is set', () => {
    const longest = 10_000;
    const waited = (retryAfterMs: number | undefined, random: number): number => {
      let nowMs = 1_000_000;
      const mediators = createMediators(() => [registered('a:1', { runsMax: undefined })], {
        fullWaitMsMax: longest,
        nowMs: () => nowMs,
        random: () => random,
      });
      const end = mediators.begin('a:1');
      mediators.refused('a:1', new RuneError('MEDIATOR_FULL', 'It is full.', {}, { retryAfterMs }));
      end();
      const refusedAtMs = nowMs;
      while (choose(mediators, 'n') === undefined) nowMs += 50;
      return nowMs - refusedAtMs;
    };
    assert.equal(waited(undefined, 0), 1_000);
    assert.equal(waited(0, 0), 1_000, 'a hint that asks for no wait at all');
    assert.equal(waited(4_000, 0), 4_000);
    assert.equal(waited(4_000, 0.5), 4_500);
    assert.equal(waited(3_600_000, 0), longest);
  });

  it('sends to a full one only what takes the place of a run that ended there, until the time that it said is over', () => {
    let nowMs = 1_000_000;
    const mediators = createMediators(() => configuredMediators([{ address: 'a:1', zone: '' }]), {
      nowMs: () => nowMs,
      random: () => 0,
    });
    const [first, second] = [mediators.begin('a:1'), mediators.begin('a:1')];
    const refused = mediators.begin('a:1');
    mediators.refused('a:1', new RuneError('MEDIATOR_FULL', 'It is full.', {}, { retryAfterMs: 5_000 }));
    refused();
    nowMs += 4_000;
    assert.equal(choose(mediators, 'n'), undefined);
    first();
    assert.equal(choose(mediators, 'n'), 'a:1');
    mediators.begin('a:1');
    assert.equal(choose(mediators, 'n'), undefined);
    second();
    nowMs += 1_000;
    mediators.begin('a:1');
    assert.equal(choose(mediators, 'n'), 'a:1');
  });

  it('asks one that could not be reached last, until it is heard of again', () => {
    let known = [registered('a:1'), registered('b:1')];
    let nowMs = 1_000_000;
    const mediators = createMediators(() => known, { nowMs: () => nowMs });
    const name = NODES.find((each) => choose(mediators, each) === 'a:1') ?? '';
    mediators.refused('a:1', new RuneError('MEDIATOR_UNAVAILABLE', 'Nobody answers.'));
    assert.equal(choose(mediators, name), 'b:1');
    assert.equal(chooseMediator(mediators.candidates(node(name), 'ssh'), new Set(['b:1']))?.address, 'a:1');
    nowMs += 1;
    known = [registered('a:1', { saidAtMs: nowMs }), registered('b:1')];
    assert.equal(choose(mediators, name), 'a:1');
  });

  it('lets those who wait look again when a run ends, one for each, and when more is known', async () => {
    const mediators = createMediators(() => [registered('a:1')]);
    const woken: string[] = [];
    const { signal } = new AbortController();
    const wait = (name: string): Promise<unknown> =>
      mediators.change(60_000, signal).then(() => woken.push(name));
    const waits = [wait('one'), wait('two'), wait('three')];
    mediators.begin('a:1')();
    await waits[0];
    assert.deepEqual(woken, ['one']);
    mediators.updated();
    await Promise.all(waits);
    assert.deepEqual(woken, ['one', 'two', 'three']);
  });
});
