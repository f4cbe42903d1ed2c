import assert from 'node:assert/strict';
import type { RuneError } from '../../../services/shared/errors.js';

/** An error of the node or its jump host with this name, whose message holds or matches all these parts. */
export function expectError(error: RuneError, name: string, ...parts: (string | RegExp)[]): void {
  assert.equal(error.name, name, error.message);
  assert(['web01', 'bastion'].includes(error.facts.node ?? ''), error.facts.node);
  for (const part of parts) {
    if (typeof part === 'string') assert(error.message.includes(part), `${part} in: ${error.message}`);
    else assert.match(error.message, part);
  }
}
