import { SECONDS_BUCKETS } from '../shared/metrics/buckets.js';
import { counted, gauge, observed, total, type Meter } from '../shared/metrics/metric.js';

/** The metrics of a mediator; docs/operations.md shows the same table. */
export const LMM_METRICS = {
  rune_lmm_runs_in_flight: gauge('Runs that have not ended.'),
  rune_lmm_runs_max: gauge('Runs that it takes at the same time (`runs_max`).'),
  rune_lmm_runs_started_total: total('Runs that it took.'),
  rune_lmm_runs_refused_total: total('Runs that it refused because it was full; LOM offers them elsewhere.'),
  rune_lmm_runs_total: counted('Runs that ended, by how.', 'transport', 'state'),
  rune_lmm_run_errors_total: counted('Runs that did not succeed, by the error.', 'transport', 'error'),
  rune_lmm_runs_stopped_total: counted(
    'Runs that were stopped, by why: `ORPHANED` is one whose LOM did not come back.',
    'reason',
  ),
  rune_lmm_run_seconds: observed('From taking a run to its outcome.', SECONDS_BUCKETS, 'transport'),
  rune_lmm_connect_seconds: observed(
    'Until a run could speak to its node; next to nothing on a warm connection.',
    SECONDS_BUCKETS,
    'transport',
  ),
  rune_lmm_outcomes_kept: gauge('Outcomes that no LOM has acknowledged yet.'),
  rune_lmm_outcomes_kept_bytes: gauge('Size of the outcomes that are kept; bounded by `outcomes_total_max`.'),
  rune_lmm_outcomes_unfetched_total: total('Outcomes given up because nobody fetched them.'),
  rune_lmm_events_unread_bytes: gauge('Log and progress that wait for LOM to read them.'),
  rune_lmm_events_replay_bytes: gauge(
    'Log and progress kept for a LOM that comes back; bounded by `event_replay_total_max`.',
  ),
  rune_lmm_replay_dropped_bytes_total: total(
    'Log dropped beyond the bounds on what is kept, before LOM had read it (`read="false"`) or after.',
    'read',
  ),
  rune_lmm_log_dropped_bytes_total: counted('Log dropped beyond `log_max` of its run.'),
  rune_lmm_ssh_connections_open: gauge('SSH connections to nodes and to hosts on the way.', 'transport'),
  rune_lmm_ssh_connections_idle: gauge('SSH connections that no run uses.', 'transport'),
  rune_lmm_ssh_handshakes_in_progress: gauge('SSH connections being made.', 'transport'),
  rune_lmm_ssh_channels_open: gauge('Channels that runs have on SSH connections.', 'transport'),
  rune_lmm_ssh_runs_waiting: gauge('Runs that wait for an SSH connection.', 'transport'),
  rune_lmm_ssh_handshakes_total: total('Attempts to connect over SSH, probes included.', 'transport'),
  rune_lmm_ssh_handshakes_failed_total: total('Attempts to connect over SSH that failed.', 'transport'),
  rune_lmm_ssh_connections_grown_total: total(
    'SSH connections made because all to the node were full.',
    'transport',
  ),
  rune_lmm_ssh_connections_expired_total: total(
    'SSH connections ended because they were idle or old.',
    'transport',
  ),
  rune_lmm_ssh_evictions_total: total(
    'SSH connections given up: broken, silent, or of a host key no longer trusted.',
    'transport',
  ),
  rune_lmm_ssh_channels_refused_total: total('Channels that sshd refused.', 'transport'),
  rune_lmm_ssh_runs_moved_total: total(
    'Runs that found their first connection dead and got another one.',
    'transport',
  ),
  rune_lmm_ssh_channels_total: total('Places for a channel that runs got on SSH connections.', 'transport'),
  rune_lmm_ssh_channels_warm_total: total(
    'Places for a channel on a connection that was there before it was asked for.',
    'transport',
  ),
  rune_lmm_ssh_spare_shells: gauge('Shells that wait on idle SSH connections for a run.', 'transport'),
  rune_lmm_ssh_spare_shells_made_total: total('Shells made ready on idle SSH connections.', 'transport'),
  rune_lmm_ssh_spare_shells_taken_total: total(
    'Runs that began in a shell that was ready for them.',
    'transport',
  ),
  rune_lmm_openssh_masters: gauge("Processes of the system's ssh that hold a connection."),
  rune_lmm_ssm_calls_total: counted(
    'Requests to Systems Manager, by what became of them: `ok`, `throttled`, `refused`, `unsent`, `unknown`.',
    'call',
    'result',
  ),
  rune_lmm_ssm_call_seconds: observed('Requests to Systems Manager.', SECONDS_BUCKETS, 'call'),
  rune_lmm_ssm_budget_per_second: gauge(
    'Requests a second that Systems Manager is asked at present: of several regions and roles the lowest.',
  ),
  rune_lmm_ssm_requests_waiting: gauge('Requests to Systems Manager that wait for their turn.'),
  rune_lmm_rpc_calls_open: gauge('Calls that have not ended.'),
  rune_lmm_rpc_seconds: observed(
    'Calls that ended, by method and status. Streams last as long as what they show.',
    SECONDS_BUCKETS,
    'method',
    'code',
  ),
} as const;

/** Takes note of what a mediator does. */
export type LmmMeter = Meter<typeof LMM_METRICS>;
