import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { confirmRisk } from '../../services/cli/run/confirm-risk.js';
import { PlanExecutionResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { createFakeIo } from './fake-io.js';

describe('the question before an action that can destroy data', () => {
  it('is no answer when it is interrupted', async () => {
    const io = { ...createFakeIo(), stdin: new PassThrough() };
    const session = {
      client: {
        planExecution: async () => {
          // The question is asked with what this answers, so the interrupt meets it.
          setImmediate(() => io.first.abort());
          return PlanExecutionResponse.fromPartial({ runs: [{ node: 'web01' }] });
        },
      },
      call: { timeoutMs: 1000, signal: io.interrupts.first },
    };
    const request = { targets: { allowEmpty: false } };
    await assert.rejects(
      confirmRisk(
        io,
        session as unknown as Parameters<typeof confirmRisk>[1],
        request as Parameters<typeof confirmRisk>[2],
      ),
      { name: 'CALL_CANCELLED' },
    );
  });
});
