import assert from 'node:assert/strict';
import { join } from 'node:path';
import { toDuration } from '../../../services/shared/messages/duration.js';
import { OnLocked, PlanExecutionRequest } from '../../../services/shared/gen/rune/v1/lom.js';
import { Node } from '../../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { loadBundles } from '../../../services/lom/actions/load-bundles.js';
import { bundleFiles } from '../../support/bundle-files.js';
import { inventoryOf } from '../../support/inventory-of.js';
import { makeTempDirectory } from '../../support/temp-directory.js';
import { thrownBy } from '../../support/thrown-by.js';
import {
  configuredMediators,
  createMediators,
  type Mediators,
} from '../../../services/lom/mediators/mediators.js';
import { makePlan, planNode, type PlanSources } from '../../../services/lom/plan/plan.js';

const mediatorsOf = (zone: string): Mediators =>
  createMediators(() => configuredMediators([{ address: 'm:1', zone }]));

/** Plans actions of this bundle for these nodes, with one mediator. */
const sourcesOf = async (bundle: string, nodes: string): Promise<PlanSources> => ({
  registry: await loadBundles([bundle]),
  inventory: inventoryOf(`nodes: {${nodes}}`),
  mediators: mediatorsOf(''),
  settings: {
    timeoutMsMax: 86_400_000,
    killGraceMs: 1,
    connectTimeoutMs: 1,
    parallelMax: 1,
    lockQueueTimeoutMs: 60_000,
    retriesMax: 10,
    retryDelayMs: 1000,
  },
});

describe('a plan', () => {
  it('needs a mediator of the zone of every node, and says which setting names them', () => {
    const node = Node.fromPartial({ name: 'web01', zone: 'eu', transports: ['ssh'] });
    const error = thrownBy(() =>
      planNode(node, '', { mediators: mediatorsOf('us'), inventory: { get: () => node } }),
    );
    assert.equal(error.name, 'NO_MEDIATOR_FOR_ZONE');
    assert.equal(error.message, 'No mediator of zone "eu" is configured or registered, as web01 needs.');
    assert.match(error.row.recovery.join(' '), /setting mediators of LOM/);
  });

  it('runs as the user that the action needs, else as that of the inventory, which says how to become either', async () => {
    const directory = await makeTempDirectory();
    try {
      await directory.write(bundleFiles({ plain: {}, needy: { run_as: 'root' } }));
      const nodes = 'a: {user: x}, b: {user: x, run_as: app}, c: {user: x, run_as: app, become: doas}';
      const sources = await sourcesOf(directory.path, `${nodes}, d: {user: x, become: doas}`);
      const users = (action: string): unknown[] => {
        const targets = { nodes: ['a', 'b', 'c', 'd'] };
        return makePlan(PlanExecutionRequest.fromPartial({ action, targets }), sources).runs.map(
          ({ runAs }) => runAs && `${runAs.become} ${runAs.user}`,
        );
      };
      assert.deepEqual(users('plain'), [undefined, 'sudo app', 'doas app', undefined]);
      assert.deepEqual(users('needy'), ['sudo root', 'sudo root', 'doas root', 'doas root']);
    } finally {
      await directory.remove();
    }
  });

  const requestWith = (
    fields: Parameters<typeof PlanExecutionRequest.fromPartial>[0],
  ): PlanExecutionRequest =>
    PlanExecutionRequest.fromPartial({ action: 'noop', targets: { nodes: ['web01'] }, ...fields });
  const shippedSources = (): Promise<PlanSources> =>
    sourcesOf(join(packageRoot, 'plugins'), 'web01: {address: 192.0.2.1, user: ops}');

  it('tells a timeout out of bounds in the units in which a person writes it', async () => {
    const sources = await shippedSources();
    const within = (ms: number): PlanExecutionRequest => requestWith({ timeout: toDuration(ms) });
    assert.equal(makePlan(within(90_000), sources).timeoutMs, 90_000);
    const { facts } = thrownBy(() => makePlan(within(48 * 3_600_000), sources));
    assert.deepEqual([facts.originalValue, facts.expectedFormat], ['48h', '1s to 24h']);
    assert.equal(thrownBy(() => makePlan(within(500), sources)).facts.originalValue, '500ms');
  });

  it('holds waiting and retries to their bounds', async () => {
    const sources = await shippedSources();
    for (const [fields, expected] of [
      [{ queueTimeout: toDuration(500) }, 'queue_timeout, 1s to 24h'],
      [{ queueTimeout: toDuration(25 * 3_600_000) }, 'queue_timeout, 1s to 24h'],
      [{ onLocked: 7 as OnLocked }, 'on_locked, ON_LOCKED_QUEUE or ON_LOCKED_REFUSE'],
      [{ maxRetries: 11 }, 'max_retries, 0 to 10'],
      [{ maxRetries: 1, retryDelay: toDuration(1) }, 'retry_delay, 100ms to 10m'],
      [{ retryDelay: toDuration(3_600_000) }, 'retry_delay, 100ms to 10m'],
    ] as const) {
      const { name, facts } = thrownBy(() => makePlan(requestWith(fields), sources));
      assert.deepEqual([name, `${facts.field}, ${facts.expectedFormat}`], ['FIELD_OUT_OF_RANGE', expected]);
    }
    const { retries } = makePlan(requestWith({ maxRetries: 10, retryDelay: toDuration(5000) }), sources);
    assert.deepEqual(retries, { max: 10, delayMs: 5000, atLeastOnce: false });
  });

  it('needs the lock of its nodes if it changes something there, and waits for it as the request says', async () => {
    const sources = await shippedSources();
    const waitMs = (action: string, fields: Parameters<typeof PlanExecutionRequest.fromPartial>[0] = {}) => {
      const params = action === 'restart-service' ? { params: { unit: 'nginx' } } : {};
      const plan = makePlan(requestWith({ action, ...params, ...fields }), sources);
      return plan.locksNodes ? plan.queueWaitMs : undefined;
    };
    assert.equal(waitMs('noop'), undefined);
    assert.equal(waitMs('noop', { onLocked: OnLocked.REFUSE }), undefined);
    assert.equal(waitMs('restart-service'), 60_000);
    assert.equal(waitMs('restart-service', { queueTimeout: toDuration(5000) }), 5000);
    assert.equal(waitMs('restart-service', { onLocked: OnLocked.REFUSE }), 0);
    assert.equal(waitMs('restart-service', { dryRun: true }), undefined);
  });

  it('asks for no more places at one time than the action has', async () => {
    const sources = await shippedSources();
    const noop = sources.registry.get('noop');
    const capability = { ...noop.capability, maxConcurrent: 3 };
    const settings = { ...sources.settings, parallelMax: 10 };
    const limited = {
      ...sources,
      settings,
      registry: { ...sources.registry, get: () => ({ ...noop, capability }) },
    };
    const { limit, maxParallel } = makePlan(requestWith({ action: 'noop' }), limited);
    assert.deepEqual([limit, maxParallel], [{ action: 'noop', max: 3 }, 3]);
    const fewer = makePlan(requestWith({ action: 'noop', rollout: { maxParallel: 2 } }), limited);
    assert.equal(fewer.maxParallel, 2);
    const free = makePlan(requestWith({ action: 'noop' }), { ...sources, settings });
    assert.deepEqual([free.limit, free.maxParallel], [undefined, 10]);
  });
});
