import { RuneError } from '../shared/errors.js';
import type { LmmServiceService, MediateResponse } from '../shared/gen/rune/v1/lmm.js';
import { replyHeader } from '../shared/header.js';
import { checkReason } from '../shared/reason.js';
import type { Handlers } from '../shared/rpc-binding.js';
import type { Mediator } from './mediate.js';

const EVENT_TYPE: Readonly<Record<NonNullable<MediateResponse['event']>['$case'], string>> = {
  accepted: 'ACTION_ACCEPTED',
  state: 'ACTION_STARTED',
  log: 'ACTION_LOG',
  progress: 'ACTION_PROGRESS',
  outcome: 'ACTION_RESULT',
};

/** LmmService, served by this mediator. */
export function lmmHandlers(mediator: Mediator, instanceId: string): Handlers<LmmServiceService> {
  return {
    async *mediate(request, call) {
      if (request.command?.$case !== 'start') {
        throw new RuneError('FIELD_MISSING', 'The request holds no command.', {
          field: 'start',
          lmmInstanceId: instanceId,
        });
      }
      const run = mediator.start(request.command.value, call.header);
      for await (const { eventNo, at, event } of run.events(call.signal)) {
        const first = eventNo === 1;
        yield {
          header: replyHeader(call.header, EVENT_TYPE[event.$case], 'lmm', first),
          runId: run.runId,
          eventNo,
          at,
          lmmInstanceId: first ? instanceId : '',
          event,
        };
      }
    },

    async listRuns() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async ackRun() {
      throw new RuneError('METHOD_NOT_FOUND', 'Not served yet.');
    },

    async cancelRun(request, call) {
      checkReason(request.reason);
      mediator.cancel(request.runId, request.reason);
      return {
        header: replyHeader(call.header, 'RUN_CANCEL_ACCEPTED', 'lmm', true),
        lmmInstanceId: instanceId,
      };
    },

    async probeNode(request, call) {
      if (request.target === undefined) {
        throw new RuneError('FIELD_MISSING', 'The request names no target.', { field: 'target' });
      }
      const probe = await mediator.probe(request.target, request.connectTimeout, call.signal);
      return {
        header: replyHeader(call.header, 'NODE_PROBED', 'lmm', true),
        lmmInstanceId: instanceId,
        probe,
      };
    },
  };
}
