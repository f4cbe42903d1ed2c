import assert from 'node:assert/strict';
import { startMessage } from '../../../services/lom/dispatch/start-message.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';
import { acceptHeader } from '../../../services/shared/messages/header.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { planOf } from '../../support/recorded-execution.js';

describe('what a mediator is told to start', () => {
  for (const flag of ['leavesProcesses', 'systemdScope'] as const) {
    it(`says ${flag} as the manifest does`, () => {
      const said = [true, false].map((value) => {
        const plan = planOf(['web01'], {
          action: {
            capability: ActionCapability.fromPartial({ action: 'noop', [flag]: value }),
            script: Buffer.from('echo hello\n'),
            scriptSha256: 'd',
            library: Buffer.alloc(0),
            files: [],
            parameterInput: ParameterInput.UNSPECIFIED,
          } as unknown as Action,
        });
        const [run] = plan.runs;
        assert(run);
        const identity = {
          executionId: newId(),
          runId: newId(),
          attempt: 1,
          triggeredBy: 'test',
          header: acceptHeader(undefined, { identity: 'test', nowMs: Date.now() }),
          epoch: 1,
          dispatchGroup: '',
        };
        const placement = { address: 'lmm:50051', instanceId: newId() };
        const message = startMessage(placement, plan, run, identity, {
          orphanAfterMs: 1_000,
          withContent: true,
        });
        return message.plugin?.[flag];
      });
      assert.deepEqual(said, [true, false]);
    });
  }
});
