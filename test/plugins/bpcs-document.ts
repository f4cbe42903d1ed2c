import assert from 'node:assert/strict';
import type { BashEnding } from '../support/bash.js';

const METADATA = {
  version: '1.0',
  message_id: '0190b6a5-7c1e-7000-8000-000000000001',
  correlation_id: '0190b6a5-7c1e-7000-8000-000000000002',
  created_at: '2026-11-22T12:00:00.000Z',
};
const OBSERVABILITY = { trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' };

/** The answer of a plugin, as BPCS defines it. */
export interface BpcsAnswer {
  readonly message_metadata: object;
  readonly payload: { readonly result: string; readonly output_data: Record<string, unknown> } | null;
  readonly observability: object;
  readonly error: {
    readonly code: number;
    readonly message: string;
    readonly details: Record<string, unknown>;
  } | null;
}

/** The input document of a run with these parameters and context. */
export function bpcsInput(params: object = {}, context: object = {}): string {
  return JSON.stringify({
    message_metadata: METADATA,
    payload: {
      input_parameters: params,
      context: { node: 'web01', action: 'test', attempt: 1, dry_run: false, ...context },
    },
    observability: OBSERVABILITY,
  });
}

/** Parses the one object a plugin must have printed; fails unless it is valid UTF-8 and echoes what bpcsInput said. */
export function bpcsAnswer(ending: BashEnding): BpcsAnswer {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(ending.stdout);
  assert.notEqual(text, '', `no answer; stderr: ${ending.stderr}`);
  const answer = JSON.parse(text) as BpcsAnswer;
  assert.deepEqual(Object.keys(answer), ['message_metadata', 'payload', 'observability', 'error']);
  assert.deepEqual(answer.message_metadata, METADATA);
  assert.deepEqual(answer.observability, OBSERVABILITY);
  return answer;
}
