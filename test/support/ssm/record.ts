import type { Execution } from './agent.js';

/** One call as the endpoint saw it. */
export interface SeenCall {
  readonly name: string;
  readonly atMs: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** "ok", an error's type, or the fault that left the caller without an answer. */
  readonly outcome: string;
}

/** What a test can ask afterwards. */
export interface SsmRecord {
  /** All calls, or those by a name. */
  calls(name?: string): readonly SeenCall[];
  /** Every start of every script. */
  executions(): readonly Execution[];
  /** The most calls, or calls by a name, that came within a second. */
  peakRate(name?: string): number;
}

/** The record, and how it is written. */
export interface RecordWriter extends SsmRecord {
  sawCall(call: SeenCall): void;
  sawExecution(execution: Execution): void;
}

const WINDOW_MS = 1000;

/** An empty record. */
export function createRecord(): RecordWriter {
  const seen: SeenCall[] = [];
  const executions: Execution[] = [];
  const calls = (name?: string): readonly SeenCall[] =>
    name === undefined ? seen : seen.filter((call) => call.name === name);
  return {
    calls,
    executions: () => executions,
    peakRate(name) {
      const times = calls(name).map(({ atMs }) => atMs);
      let first = 0;
      let most = 0;
      for (const [index, atMs] of times.entries()) {
        while ((times[first] ?? atMs) <= atMs - WINDOW_MS) first += 1;
        most = Math.max(most, index - first + 1);
      }
      return most;
    },
    sawCall: (call) => void seen.push(call),
    sawExecution: (execution) => void executions.push(execution),
  };
}
