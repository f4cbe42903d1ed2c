import { RuneError } from '../shared/errors.js';
import { MediateResponse, type LmmServiceService, type MediateRequest } from '../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../shared/gen/rune/v1/rcs.js';
import { replyHeader } from '../shared/messages/header.js';
import { pageOf } from '../shared/messages/page.js';
import { checkReason } from '../shared/messages/reason.js';
import { EncodedMessage } from '../shared/rpc/encoded-message.js';
import type { Handlers } from '../shared/rpc/rpc-binding.js';
import type { MediatedEvents, Mediator } from './mediate.js';
import type { Event } from './runs/kept-events.js';
import { encodeLogBatch } from './runs/log-batch.js';

const EVENT_TYPE: Readonly<Record<Event['$case'], string>> = {
  accepted: 'ACTION_ACCEPTED',
  state: 'ACTION_STARTED',
  log: 'ACTION_LOG',
  progress: 'ACTION_PROGRESS',
  outcome: 'ACTION_RESULT',
};

/** Tag of the field MediateResponse.log. */
const LOG = 0x3a;

function mediated(mediator: Mediator, command: MediateRequest['command'], header: RcsHeader): MediatedEvents {
  if (command === undefined) {
    throw new RuneError('FIELD_MISSING', 'The request holds no command.', { field: 'start' });
  }
  if (command.$case === 'attach') return mediator.attach(command.value);
  return command.$case === 'start'
    ? mediator.start(command.value, header)
    : mediator.adopt(command.value, header);
}

/** Log is bytes already: they follow the rest. */
function responseOf(head: Omit<MediateResponse, 'event'>, event: Event): MediateResponse | EncodedMessage {
  if (event.$case !== 'log') return { ...head, event };
  const log = encodeLogBatch(event.value);
  const start = MediateResponse.encode({ ...head, event: undefined })
    .uint32(LOG)
    .uint32(log.length)
    .finish();
  return new EncodedMessage(Buffer.concat([start, log]));
}

/** LmmService, served by this mediator. */
export function lmmHandlers(mediator: Mediator): Handlers<LmmServiceService> {
  const lmmInstanceId = mediator.instanceId;
  return {
    async *mediate(request, call) {
      const run = mediated(mediator, request.command, call.header);
      // Who attaches to a run that is silent must know that it is here.
      call.accept();
      let first = true;
      for await (const { eventNo, at, event } of run.events(call.signal)) {
        const head = {
          header: replyHeader(call.header, EVENT_TYPE[event.$case], 'lmm', first),
          runId: run.runId,
          eventNo,
          at,
          lmmInstanceId: first ? lmmInstanceId : '',
        };
        yield responseOf(head, event);
        first = false;
      }
    },

    async cancelRun(request, call) {
      checkReason(request.reason);
      mediator.cancel(request);
      return { header: replyHeader(call.header, 'RUN_CANCEL_ACCEPTED', 'lmm', true), lmmInstanceId };
    },

    async listRuns(request, call) {
      const runs = mediator
        .list()
        .filter(({ executionId }) => request.executionId === '' || executionId === request.executionId);
      const page = pageOf(runs, ({ runId }) => runId, request);
      return {
        header: replyHeader(call.header, 'RUNS_LISTED', 'lmm', true),
        lmmInstanceId,
        runs: page.items,
        nextPageToken: page.nextPageToken,
        transports: [...mediator.transports],
        runsMax: mediator.runsMax,
        runsActive: mediator.runCount,
      };
    },

    async ackRun(request, call) {
      mediator.acknowledge(request);
      return { header: replyHeader(call.header, 'RUNS_ACKNOWLEDGED', 'lmm', true), lmmInstanceId };
    },

    async probeNode(request, call) {
      if (request.target === undefined) {
        throw new RuneError('FIELD_MISSING', 'The request names no target.', { field: 'target' });
      }
      const probe = await mediator.probe(request.target, request.connectTimeout, call.signal);
      return {
        header: replyHeader(call.header, 'NODE_PROBED', 'lmm', true),
        lmmInstanceId,
        probe,
      };
    },
  };
}
