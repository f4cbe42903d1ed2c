import type { NodeScript } from './node-script.js';

const POLLS_PER_SECOND = 5;

/** Waits on the node for the report of a run whose command the agent has killed, and prints it. */
export function lookScript(commandId: string, waitMs: number): NodeScript {
  return { kind: 'look', lines: [`${commandId} ${Math.ceil((waitMs / 1000) * POLLS_PER_SECOND)}`] };
}
