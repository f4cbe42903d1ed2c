import type { ReadersOf } from '../shared/metrics/metric.js';
import { onceATurn } from '../shared/metrics/once-a-turn.js';
import type { RpcServer } from '../shared/rpc/rpc-server.js';
import type { Mediator } from './mediate.js';
import type { LMM_METRICS } from './metrics.js';
import type { OpensshConnections } from './transports/openssh/openssh-connections.js';
import type { PoolMetrics } from './transports/ssh/pool-metrics.js';
import type { SshTransport } from './transports/ssh/ssh-transport.js';
import type { SsmTransport } from './transports/ssm/ssm-transport.js';

/** What has counted since the start. */
export interface LmmCounters {
  readonly mediator: Pick<Mediator, 'runCount' | 'runsMax' | 'counts' | 'kept'>;
  /** The transports with a pool of connections. */
  readonly pools: readonly Pick<SshTransport, 'name' | 'metrics'>[];
  readonly openssh: Pick<OpensshConnections, 'masters'> | undefined;
  readonly ssm: Pick<SsmTransport, 'budgets'>;
  readonly server: Pick<RpcServer, 'openCalls'>;
}

type Readers = ReadersOf<typeof LMM_METRICS>;

/** Reads the metrics that others count anyway. */
export function readLmmMetrics({ mediator, pools, openssh, ssm, server }: LmmCounters): Readers {
  const kept = onceATurn(mediator.kept);
  const poolCounts = onceATurn(() => pools.map((pool) => ({ transport: pool.name, counts: pool.metrics() })));
  const ofPools =
    (name: keyof PoolMetrics): Readers['rune_lmm_ssh_connections_open'] =>
    () =>
      poolCounts().map(({ transport, counts }) => [{ transport }, counts[name]]);
  return {
    rune_lmm_runs_in_flight: () => mediator.runCount,
    rune_lmm_runs_max: () => mediator.runsMax,
    rune_lmm_runs_started_total: () => mediator.counts.started,
    rune_lmm_runs_refused_total: () => mediator.counts.refused,
    rune_lmm_outcomes_kept: () => kept().outcomes,
    rune_lmm_outcomes_kept_bytes: () => kept().outcomesBytes,
    rune_lmm_outcomes_unfetched_total: () => kept().unfetched,
    rune_lmm_events_unread_bytes: () => kept().unreadBytes,
    rune_lmm_events_replay_bytes: () => kept().replayBytes,
    rune_lmm_replay_dropped_bytes_total: () => {
      const { droppedReadBytes, droppedUnreadBytes } = kept();
      return [
        [{ read: 'true' }, droppedReadBytes],
        [{ read: 'false' }, droppedUnreadBytes],
      ];
    },
    rune_lmm_ssh_connections_open: ofPools('open'),
    rune_lmm_ssh_connections_idle: ofPools('idle'),
    rune_lmm_ssh_handshakes_in_progress: ofPools('connecting'),
    rune_lmm_ssh_channels_open: ofPools('channels'),
    rune_lmm_ssh_runs_waiting: ofPools('waiting'),
    rune_lmm_ssh_handshakes_total: ofPools('handshakes'),
    rune_lmm_ssh_handshakes_failed_total: ofPools('handshakesFailed'),
    rune_lmm_ssh_connections_grown_total: ofPools('grown'),
    rune_lmm_ssh_connections_expired_total: ofPools('expired'),
    rune_lmm_ssh_evictions_total: ofPools('evictions'),
    rune_lmm_ssh_channels_refused_total: ofPools('refusals'),
    rune_lmm_ssh_runs_moved_total: ofPools('replaced'),
    rune_lmm_ssh_channels_total: ofPools('taken'),
    rune_lmm_ssh_channels_warm_total: ofPools('takenWarm'),
    rune_lmm_ssh_spare_shells: ofPools('spares'),
    rune_lmm_ssh_spare_shells_made_total: ofPools('sparesMade'),
    rune_lmm_ssh_spare_shells_taken_total: ofPools('sparesTaken'),
    rune_lmm_openssh_masters: () => openssh?.masters() ?? 0,
    rune_lmm_ssm_budget_per_second() {
      const rates = ssm.budgets().map(({ perSecond }) => perSecond);
      return rates.length === 0 ? [] : Math.min(...rates);
    },
    rune_lmm_ssm_requests_waiting: () => ssm.budgets().reduce((sum, { waiting }) => sum + waiting, 0),
    rune_lmm_rpc_calls_open: () => server.openCalls,
  };
}
