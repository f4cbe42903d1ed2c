import type { ExecutionState, RunState } from '../../shared/gen/rune/v1/run.js';
import type { EventKind } from './store.js';

/** The tables of the store as Kysely knows them. Times are milliseconds since 1970, flags 0 or 1. */
export interface StoreTables {
  executions: ExecutionsTable;
  requests: { execution_id: string; body: Buffer };
  runs: RunsTable;
  events: EventsTable;
  replicas: { owner: string; until_ms: number };
  node_locks: {
    lock_key: string;
    execution_id: string;
    position: number;
    run_id: string;
    since_ms: number;
    until_ms: number;
  };
  node_waiters: {
    execution_id: string;
    position: number;
    run_id: string;
    lock_key: string;
    asked_ms: number;
    until_ms: number;
  };
  action_places: {
    execution_id: string;
    position: number;
    run_id: string;
    action: string;
    since_ms: number;
    until_ms: number;
  };
  node_cooldowns: { lock_key: string; action: string; until_ms: number };
  leftovers: { execution_id: string; last_seq: number; runs: number };
  modules: ModulesTable;
  module_contents: { registration_id: string; body: Buffer };
  meta: { name: string; value: string };
}

interface ModulesTable {
  registration_id: string;
  name: string;
  version: string;
  content_digest: string;
  registered_by: string;
  registration: Buffer;
  beat: Buffer;
  renews: number;
  registered_ms: number;
  heartbeat_ms: number;
  expires_ms: number;
  ended_ms: number;
  end_reason: string;
}

interface ExecutionsTable {
  id: string;
  state: ExecutionState;
  action: string;
  version: string;
  digest: string;
  reason: string;
  triggered_by: string;
  correlation_id: string;
  request_id: string;
  request_digest: Buffer;
  dry_run: number;
  rerun_of: string;
  runs: number;
  created_ms: number;
  ended_ms: number;
  last_seq: number;
  cancel_asked: number;
  cancel_reason: string;
  owner: string;
  epoch: number;
}

interface RunsTable {
  execution_id: string;
  position: number;
  run_id: string;
  node: string;
  attempt: number;
  state: RunState;
  mediator: string;
  lmm_instance_id: string;
  mediator_event: number;
  placed_ms: number;
  started_ms: number;
  ended_ms: number;
  log_bytes: number;
  outcome_seq: number;
  /** When its execution last changed its owner, if nothing was heard of it since; otherwise 0. */
  away_since_ms: number;
}

interface EventsTable {
  execution_id: string;
  seq: number;
  node: string;
  kind: EventKind;
  bytes: number;
  body: Buffer;
}
