import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import { gate, type Gate } from './gate.js';
import { abortOf, accepted, ended, running as isRunning, type Script } from './scripted-mediators.js';

/** Runs that stay on their nodes until they are let go, and a record of who was on which node. */
export interface GuardedNodes {
  readonly start: Script;
  /** The executions of the runs, in the order in which they began. */
  readonly begun: string[];
  /** Ends the runs of this execution. */
  readonly release: (executionId: string) => void;
  /** How often a run began on a node that had one. */
  readonly overlaps: () => number;
  /** The most runs that were under way at one time. */
  readonly most: () => number;
}

/** Makes nodes that record who is on them. */
export function guardedNodes(): GuardedNodes {
  const begun: string[] = [];
  const gates = new Map<string, Gate>();
  const gateOf = (executionId: string): Gate => {
    const known = gates.get(executionId) ?? gate();
    gates.set(executionId, known);
    return known;
  };
  const on = new Map<string, number>();
  let overlaps = 0;
  let [running, most] = [0, 0];
  return {
    begun,
    release: (executionId) => gateOf(executionId).open(),
    overlaps: () => overlaps,
    most: () => most,
    async *start(node, { executionId }, signal) {
      const there = (on.get(node) ?? 0) + 1;
      on.set(node, there);
      if (there > 1) overlaps += 1;
      begun.push(executionId);
      running += 1;
      most = Math.max(most, running);
      yield accepted;
      yield isRunning;
      await Promise.race([gateOf(executionId).opened, abortOf(signal)]);
      signal.throwIfAborted();
      on.set(node, there - 1);
      running -= 1;
      yield ended(RunState.SUCCEEDED);
    },
  };
}
