import { DatabaseError } from 'pg';
import { DatabaseUnavailable, TransactionConflict } from './store-fault.js';

/** SQLSTATE of transactions that were in one another's way: serialization failure and deadlock. */
const CONFLICTS = new Set(['40001', '40P01']);
/**
 * SQLSTATE, or its class, of what speaks of the server and not of the statement: connections, invalid transactions, logins, missing
 * databases, resources such as the disk, objects not available, shutdown and cancelled statements, system and internal errors,
 * missing privileges.
 */
const UNAVAILABLE = /^(?:08|25|28|3D|53|55|57|58|XX|42501)/;

/** What pg threw, as the store knows it. What came from no server is a lost connection or a timeout. */
export function toPostgresFault(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof TypeError) return thrown;
  if (!(thrown instanceof DatabaseError)) return new DatabaseUnavailable(thrown.message, { cause: thrown });
  const { code = '' } = thrown;
  if (CONFLICTS.has(code)) return new TransactionConflict(thrown.message, { cause: thrown });
  return UNAVAILABLE.test(code) ? new DatabaseUnavailable(thrown.message, { cause: thrown }) : thrown;
}

/** Whether the connection can be used after this: the server has refused a statement, and nothing else. */
export function leavesConnectionUsable(thrown: unknown): boolean {
  return thrown instanceof DatabaseError && thrown.severity === 'ERROR';
}

/** Whether the server refuses this user, or does not have the database: trying again does not help. */
export function isMisconfigured(thrown: unknown): boolean {
  return thrown instanceof DatabaseError && /^(?:28|3D|42501)/.test(thrown.code ?? '');
}
