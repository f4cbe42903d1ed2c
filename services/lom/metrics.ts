import { SECONDS_BUCKETS } from '../shared/metrics/buckets.js';
import { counted, gauge, observed, type Meter } from '../shared/metrics/metric.js';

const COMMIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30];
const GROUP_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** The metrics of an orchestrator; docs/operations.md shows the same table. */
export const LOM_METRICS = {
  rune_lom_executions_accepted_total: counted('Executions that it accepted.', 'action'),
  rune_lom_executions_total: counted('Executions that ended here, by their final state.', 'action', 'state'),
  rune_lom_executions_active: gauge('Executions that it performs; bounded by `executions_max`.'),
  rune_lom_runs_total: counted('Runs that ended here, by their final state.', 'action', 'state'),
  rune_lom_run_errors_total: counted('Runs that did not succeed, by the error.', 'action', 'error'),
  rune_lom_run_retries_total: counted('Attempts that are repeated, by the error of the one before.', 'error'),
  rune_lom_run_seconds: observed(
    'From the start of a plugin on its node to its outcome.',
    SECONDS_BUCKETS,
    'action',
  ),
  rune_lom_runs_active: gauge(
    'Runs that are at a mediator or on the way there, or wait for a mediator or a lock.',
  ),
  rune_lom_runs_queued: gauge('Runs that wait for a place among the active ones, or for a retry.'),
  rune_lom_runs_max: gauge('Runs that it has under way at the same time (`runs_max`).'),
  rune_lom_runs_waiting_for_lock: gauge(
    'Runs that wait for a node which another mutating run has, or for `max_concurrent` of their action.',
  ),
  rune_lom_runs_waiting_for_mediator: gauge('Runs that wait for a mediator with room.'),
  rune_lom_mediators: gauge('Mediators that it knows, and whether runs may go there now.', 'usable'),
  rune_lom_dispatch_refusals_total: counted('Runs that a mediator did not take, by the error.', 'error'),
  rune_lom_modules: gauge(
    'What is registered, by kind and state: mediators, and bundles of plugins.',
    'type',
    'state',
  ),
  rune_lom_actions: gauge('Actions that it serves, the default version of each.'),
  rune_lom_inventory_nodes: gauge('Nodes in the inventory.'),
  rune_lom_inventory_source_age_seconds: gauge(
    'Since an inventory source last said what is in use of it; `source` is its name in the settings.',
    'source',
  ),
  rune_lom_inventory_source_failing: gauge(
    '1 while nothing newer of an inventory source can be used.',
    'source',
  ),
  rune_lom_store_commit_seconds: observed('Transactions that record events.', COMMIT_BUCKETS),
  rune_lom_store_commit_changes: observed('Changes that share a transaction.', GROUP_BUCKETS),
  rune_lom_store_commit_failures_total: counted('Transactions that failed; they are tried again.'),
  rune_lom_store_waiting_bytes: gauge('Events that wait for the store; bounded by `commit_buffer_max`.'),
  rune_lom_watchers: gauge('Streams that show an execution.'),
  rune_lom_takeovers_total: counted('Executions taken over from another LOM, or gone on with here.'),
  rune_lom_leases_lost_total: counted('Times that this LOM was silent for longer than its `lease`.'),
  rune_lom_rpc_calls_open: gauge('Calls that have not ended.'),
  rune_lom_rpc_seconds: observed(
    'Calls that ended, by method and status. Streams last as long as what they show.',
    SECONDS_BUCKETS,
    'method',
    'code',
  ),
} as const;

/** Takes note of what an orchestrator does. */
export type LomMeter = Meter<typeof LOM_METRICS>;
