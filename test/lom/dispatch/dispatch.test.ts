import assert from 'node:assert/strict';
import { createDispatcher } from '../../../services/lom/dispatch/dispatch.js';
import type { Action } from '../../../services/shared/bundle/action.js';
import { LmmServiceService, ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { ActionCapability } from '../../../services/shared/gen/rune/v1/mrs.js';
import { acceptHeader } from '../../../services/shared/header.js';
import { newId } from '../../../services/shared/ids.js';
import { createRpcClient } from '../../../services/shared/rpc-client.js';
import { freePort } from '../../support/free-port.js';
import { planOf } from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';

const SETTINGS = {
  mediatorConnectTimeoutMs: 1_000,
  orphanAfterMs: 1_000,
  streamMarginMs: 1_000,
  ackDelayMs: 1,
};
const NOTHING = Buffer.alloc(0);

describe('a run that is sent to a mediator', () => {
  it('which ended just then is known not to have arrived, so that another one may have it', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const dispatcher = createDispatcher(
      // As it is in the moment in which the other end is gone and this one has not heard of it.
      (to) => ({
        ...createRpcClient(LmmServiceService, { address: to }),
        waitForReady: async () => undefined,
      }),
      SETTINGS,
      recordingLogger().logger,
    );
    const plan = planOf(['web01'], {
      action: {
        capability: ActionCapability.fromPartial({ action: 'noop', digest: 'd' }),
        script: NOTHING,
        scriptSha256: '',
        librarySha256: '',
        library: NOTHING,
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
    };
    const placement = { address, instanceId: newId() };
    try {
      const messages = dispatcher.start(placement, plan, run, identity, new AbortController().signal);
      await assert.rejects(messages.next(), { name: 'MEDIATOR_UNAVAILABLE' });
    } finally {
      dispatcher.close();
    }
  });
});
