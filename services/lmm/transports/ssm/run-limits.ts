import type { NodeCommand } from '../transport.js';
import type { SsmSettings } from './ssm-settings.js';

/** What the agent's limit leaves the node beyond timeout and kill grace, to report how the plugin ended. */
export const REPORT_MARGIN_MS = 20_000;
/** What the service may take to say what an agent has reported, and the mediator to see it. */
export const SERVICE_MARGIN_MS = 60_000;
/** The node's own limit for one parameter. */
const LOOK_UP_MS = 21_000;
const AGENT_SECONDS_MIN = 5;

/** How long the agent lets the script of a run go on, in seconds. */
export function executionSeconds({ timeoutMs, killGraceMs, references = [] }: NodeCommand): number {
  const lookUpMs = references.length * LOOK_UP_MS;
  return Math.max(
    AGENT_SECONDS_MIN,
    Math.ceil((lookUpMs + timeoutMs + killGraceMs + REPORT_MARGIN_MS) / 1000),
  );
}

/** How long a command may take from its sending to its end, at most. */
export function longestMs(command: NodeCommand, settings: SsmSettings): number {
  return (
    settings.ssmDeliveryTimeoutMs +
    settings.ssmQueueWaitMs +
    executionSeconds(command) * 1000 +
    SERVICE_MARGIN_MS
  );
}
