/** How a database spells the types of columns. */
export interface ColumnTypes {
  readonly text: string;
  readonly integer: string;
  readonly bytes: string;
  /** What follows the parenthesis of a table, … */
  readonly options: string;
  /** … and of one whose rows change often. */
  readonly optionsOfChanging: string;
}

/**
 * The schema as steps, forward only: the statements of step N bring a store from version N to N+1. A step that was released is
 * never changed. Steps only add, because a replica of the release before may still be running.
 */
export function migrations(types: ColumnTypes): readonly (readonly string[])[] {
  const { text, integer, bytes, options, optionsOfChanging } = types;
  return [
    [
      `create table executions (
        id ${text} not null primary key,
        state ${integer} not null,
        action ${text} not null,
        version ${text} not null,
        digest ${text} not null,
        reason ${text} not null,
        triggered_by ${text} not null,
        correlation_id ${text} not null,
        request_id ${text} not null,
        request_digest ${bytes} not null,
        dry_run ${integer} not null,
        rerun_of ${text} not null,
        runs ${integer} not null,
        created_ms ${integer} not null,
        ended_ms ${integer} not null,
        last_seq ${integer} not null,
        cancel_asked ${integer} not null,
        cancel_reason ${text} not null,
        owner ${text} not null,
        epoch ${integer} not null
      ) ${optionsOfChanging}`,
      `create unique index executions_request on executions (triggered_by, request_id) where request_id <> ''`,
      `create index executions_action on executions (action, id)`,
      `create index executions_caller on executions (triggered_by, id)`,
      `create index executions_correlation on executions (correlation_id, id)`,
      `create index executions_state on executions (state, id)`,
      `create index executions_created on executions (created_ms, id)`,
      `create index executions_unfinished on executions (owner, id) where ended_ms = 0`,
      `create index executions_ended on executions (ended_ms, id) where ended_ms > 0`,
      `create table requests (
        execution_id ${text} not null primary key,
        body ${bytes} not null
      ) ${options}`,
      `create table runs (
        execution_id ${text} not null,
        position ${integer} not null,
        run_id ${text} not null,
        node ${text} not null,
        attempt ${integer} not null,
        state ${integer} not null,
        mediator ${text} not null,
        lmm_instance_id ${text} not null,
        mediator_event ${integer} not null,
        placed_ms ${integer} not null,
        started_ms ${integer} not null,
        ended_ms ${integer} not null,
        log_bytes ${integer} not null,
        outcome_seq ${integer} not null,
        primary key (execution_id, position)
      ) ${optionsOfChanging}`,
      `create index runs_state on runs (execution_id, state, position)`,
      `create index runs_node on runs (node, execution_id)`,
      `create table events (
        execution_id ${text} not null,
        seq ${integer} not null,
        node ${text} not null,
        kind ${text} not null,
        bytes ${integer} not null,
        body ${bytes} not null,
        primary key (execution_id, seq)
      ) ${options}`,
      `create table replicas (
        owner ${text} not null primary key,
        until_ms ${integer} not null
      ) ${options}`,
      `create table leftovers (
        execution_id ${text} not null primary key,
        last_seq ${integer} not null,
        runs ${integer} not null
      ) ${options}`,
    ],
    [
      `create table node_locks (
        lock_key ${text} not null primary key,
        execution_id ${text} not null,
        position ${integer} not null,
        run_id ${text} not null,
        since_ms ${integer} not null,
        until_ms ${integer} not null
      ) ${optionsOfChanging}`,
      `create index node_locks_run on node_locks (execution_id, position)`,
      `create table node_waiters (
        execution_id ${text} not null,
        position ${integer} not null,
        run_id ${text} not null,
        lock_key ${text} not null,
        asked_ms ${integer} not null,
        until_ms ${integer} not null,
        primary key (execution_id, position)
      ) ${options}`,
      `create index node_waiters_queue on node_waiters (lock_key, asked_ms, run_id)`,
    ],
    [
      `create table modules (
        registration_id ${text} not null primary key,
        name ${text} not null,
        version ${text} not null,
        content_digest ${text} not null,
        registered_by ${text} not null,
        registration ${bytes} not null,
        beat ${bytes} not null,
        renews ${integer} not null,
        registered_ms ${integer} not null,
        heartbeat_ms ${integer} not null,
        expires_ms ${integer} not null,
        ended_ms ${integer} not null,
        end_reason ${text} not null
      ) ${optionsOfChanging}`,
      `create unique index modules_live on modules (name, version) where ended_ms = 0`,
      `create table module_contents (
        registration_id ${text} not null primary key,
        body ${bytes} not null
      ) ${options}`,
    ],
    [
      `create table node_cooldowns (
        lock_key ${text} not null,
        action ${text} not null,
        until_ms ${integer} not null,
        primary key (lock_key, action)
      ) ${options}`,
    ],
    [
      `create table action_places (
        execution_id ${text} not null,
        position ${integer} not null,
        run_id ${text} not null,
        action ${text} not null,
        since_ms ${integer} not null,
        until_ms ${integer} not null,
        primary key (execution_id, position)
      ) ${options}`,
      `create index action_places_action on action_places (action)`,
    ],
    [`alter table runs add column away_since_ms ${integer} not null default 0`],
    // A body with fewer bytes than the column says is packed, which no release from before can read.
    [],
  ];
}
