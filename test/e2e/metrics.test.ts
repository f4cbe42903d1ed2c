import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LMM_METRICS } from '../../services/lmm/metrics.js';
import { LOM_METRICS } from '../../services/lom/metrics.js';
import type { MetricsSpec } from '../../services/shared/metrics/metric.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { eventually } from '../support/eventually.js';
import { metricsTable } from '../support/metrics-table.js';
import { runAction } from '../support/run-action.js';
import { metricsAddress, scrape, valueOf } from '../support/scrape.js';
import { sshNode, startWorld, type World } from '../support/world.js';

const NODE = 'wolpertinger';
const PRINTED = 'printed-by-the-plugin';
const page = readFileSync(join(packageRoot, 'docs', 'operations.md'), 'utf8');

describe('metrics of running services', () => {
  let world: World;
  const listen = { metrics_listen: '127.0.0.1:0' };
  const of = async (name: 'lom' | 'lmm'): Promise<Awaited<ReturnType<typeof scrape>>> =>
    scrape(metricsAddress(world[name]));

  before(async () => {
    world = await startWorld({
      testActionsOnly: true,
      nodes: (sshd) => ({ [NODE]: sshNode(sshd, sshd.users.unprivileged) }),
      lom: listen,
      lmm: listen,
    });
  });
  after(() => world.stop());

  it('show runs and watchers while they are there, and nothing of them afterwards', async () => {
    let executionId = '';
    const running = runAction(
      world.client,
      { action: 'sleep-for', targets: { nodes: [NODE] } },
      (event) => (executionId = event.executionId),
    );
    const values = async (): Promise<number[]> => {
      const [lom, lmm] = [(await of('lom')).metrics, (await of('lmm')).metrics];
      return [
        valueOf(lmm, 'rune_lmm_runs_in_flight'),
        valueOf(lmm, 'rune_lmm_ssh_channels_open', { transport: 'ssh' }),
        valueOf(lom, 'rune_lom_executions_active'),
        valueOf(lom, 'rune_lom_runs_active'),
        valueOf(lom, 'rune_lom_watchers'),
      ];
    };
    const become = (wanted: number, label: string): Promise<unknown> =>
      eventually(async () => assert.deepEqual(await values(), Array(5).fill(wanted)), { label });
    await become(1, 'the run in every gauge');
    await world.client.cancelExecution({ executionId });
    await running;
    await become(0, 'its end in every gauge');
    const { metrics } = await of('lmm');
    assert.equal(valueOf(metrics, 'rune_lmm_runs_stopped_total', { reason: 'CANCEL' }), 1);
  });

  it('of what people are woken by are there before it happens', async () => {
    const { metrics } = await of('lmm');
    const samples = metrics.get('rune_lmm_run_errors_total')?.samples ?? [];
    const changed = samples.filter(({ labels }) => labels['error'] === 'HOST_KEY_CHANGED');
    assert.ok(changed.some(({ labels, value }) => labels['transport'] === 'ssh' && value === 0));
    const ended = (await of('lom')).metrics.get('rune_lom_runs_total')?.samples ?? [];
    assert.ok(ended.some(({ labels, value }) => labels['state'] === 'LOST' && value === 0));
  });

  it('count what became of runs, on both sides', async () => {
    const run = (params: Record<string, unknown>): ReturnType<typeof runAction> =>
      runAction(world.client, { action: 'fail-with', targets: { nodes: [NODE] }, params });
    await run({ exit_code: 7, log: PRINTED, print: PRINTED });
    await run({ print: '{"payload":{"result":"success","output_data":{}}}' });
    const { metrics: lom } = await of('lom');
    const { metrics: lmm } = await of('lmm');
    const action = 'fail-with';
    const transport = 'ssh';
    assert.deepEqual(
      {
        lmm: ['SUCCEEDED', 'FAILED', 'CANCELLED'].map((state) =>
          valueOf(lmm, 'rune_lmm_runs_total', { transport, state }),
        ),
        lom: ['SUCCEEDED', 'FAILED', 'CANCELLED'].map((state) =>
          valueOf(lom, 'rune_lom_runs_total', { action, state }),
        ),
        executions: ['SUCCEEDED', 'FAILED'].map((state) =>
          valueOf(lom, 'rune_lom_executions_total', { action, state }),
        ),
        accepted: valueOf(lom, 'rune_lom_executions_accepted_total', { action }),
        errors: [
          valueOf(lmm, 'rune_lmm_run_errors_total', { transport }),
          valueOf(lom, 'rune_lom_run_errors_total', { action }),
        ],
        seconds: [
          valueOf(lmm, 'rune_lmm_run_seconds_count', { transport }),
          valueOf(lom, 'rune_lom_run_seconds_count', { action }),
        ],
      },
      {
        lmm: [1, 1, 1],
        lom: [1, 1, 0],
        executions: [1, 1],
        accepted: 2,
        errors: [2, 1],
        seconds: [3, 2],
      },
    );
  });

  it('show that the second run found a warm connection', async () => {
    const names = ['handshakes_total', 'handshakes_failed_total', 'connections_open', 'connections_idle'];
    await eventually(
      async () => {
        const { metrics } = await of('lmm');
        const ssh = (name: string): number => valueOf(metrics, `rune_lmm_ssh_${name}`, { transport: 'ssh' });
        assert.deepEqual(names.map(ssh), [1, 0, 1, 1]);
        assert.deepEqual([ssh('channels_total'), ssh('channels_warm_total')], [3, 2]);
      },
      { label: 'one idle connection' },
    );
  });

  it('show the store, the mediators, the inventory and the calls', async () => {
    const { metrics } = await of('lom');
    assert.ok(valueOf(metrics, 'rune_lom_store_commit_seconds_count') >= 3);
    assert.equal(
      valueOf(metrics, 'rune_lom_store_commit_seconds_count'),
      valueOf(metrics, 'rune_lom_store_commit_changes_count'),
    );
    assert.equal(valueOf(metrics, 'rune_lom_mediators', { usable: 'true' }), 1);
    assert.equal(valueOf(metrics, 'rune_lom_modules', { type: 'PLUGIN_PROVIDER', state: 'ACTIVE' }), 1);
    assert.equal(valueOf(metrics, 'rune_lom_inventory_nodes'), 4);
    assert.ok(valueOf(metrics, 'rune_lom_inventory_source_age_seconds') < 3600);
    const run = { method: '/rune.v1.LomService/Run', code: 'OK' };
    await assert.rejects(world.client.getAction({ action: 'nope' }));
    const { metrics: later } = await of('lom');
    assert.equal(valueOf(later, 'rune_lom_rpc_seconds_count', run), 3);
    const refused = { method: '/rune.v1.LomService/GetAction', code: 'NOT_FOUND' };
    assert.equal(valueOf(later, 'rune_lom_rpc_seconds_count', refused), 1);
  });

  it('are what the alarms of docs/operations.md look at', () => {
    const known = new Set([...Object.keys(LOM_METRICS), ...Object.keys(LMM_METRICS)]);
    const named = [...page.matchAll(/\brune_l[om]m_[a-z_]+/g)].map(([one]) => one.replace(/_bucket$/, ''));
    assert.deepEqual(
      named.filter((one) => !known.has(one)),
      [],
    );
  });

  for (const [name, spec] of [
    ['lom', LOM_METRICS],
    ['lmm', LMM_METRICS],
  ] as [keyof Pick<World, 'lom' | 'lmm'>, MetricsSpec][]) {
    it(`of rune-${name} are those of docs/operations.md, and no others but of the process`, async () => {
      const { metrics } = await of(name);
      const rows = metricsTable(spec);
      const shown = page
        .split('\n')
        .filter((line) => line.startsWith(`| \`rune_${name}_`))
        .map((line) => line.replace(/ *\| */g, '|').trim());
      assert.deepEqual(shown, rows.slice(2), `The table should be:\n${rows.join('\n')}`);
      const exposed = [...metrics.values()].filter(({ name: one }) => one.startsWith('rune_'));
      const cells = rows.slice(2).map((row) => row.split('|').slice(1, -1));
      assert.deepEqual(
        exposed.map((metric) => [`\`${metric.name}\``, metric.type, metric.help]),
        cells.map(([metric, type, , help]) => [metric, type, help]),
      );
      for (const { name: one, samples } of exposed) {
        const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
        labels.delete('le');
        for (const label of labels) assert.ok(spec[one]?.labels.includes(label), `${one} ${label}`);
      }
      const others = [...metrics.keys()].filter((one) => !one.startsWith('rune_'));
      for (const one of others) assert.match(one, /^(?:process|nodejs)_/);
      const named = [...page.matchAll(/`((?:process|nodejs)_[a-z0-9_]+)`/g)].map(([, one]) => one ?? '');
      assert.ok(named.length > 0);
      for (const one of named) assert.ok(metrics.has(one), one);
    });

    it(`of rune-${name} have no value that a node, a caller or an id could have brought`, async () => {
      const { text } = await of(name);
      const hostile = new RegExp(`${NODE}|${PRINTED}|${world.sshd.host}|[0-9a-f]{8}-[0-9a-f]{4}-`);
      const lines = text.split('\n').filter((line) => line.startsWith('rune_') && hostile.test(line));
      assert.deepEqual(lines, []);
    });
  }
});
