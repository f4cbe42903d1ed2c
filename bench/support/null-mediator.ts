import { LmmServiceService, type MediateResponse } from '../../services/shared/gen/rune/v1/lmm.js';
import { Outcome, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { RuneError } from '../../services/shared/errors.js';
import { replyHeader } from '../../services/shared/messages/header.js';
import { newId } from '../../services/shared/messages/ids.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import { bindService, type Handlers } from '../../services/shared/rpc/rpc-binding.js';
import { startRpcServer } from '../../services/shared/rpc/rpc-server.js';

// A mediator without nodes, as a process: each run that it gets has begun and succeeded in the same moment. Tells its parent where
// it listens.

type Event = NonNullable<MediateResponse['event']>;

const lmmInstanceId = newId();
const EVENTS: readonly (readonly [type: string, event: Event])[] = [
  ['ACTION_ACCEPTED', { $case: 'accepted', value: {} }],
  ['ACTION_STARTED', { $case: 'state', value: RunState.RUNNING }],
];

const handlers: Handlers<LmmServiceService> = {
  async *mediate({ command }, { header }) {
    const { runId = '' } = command?.$case === 'start' ? command.value : {};
    if (runId === '') throw new RuneError('RUN_NOT_FOUND', 'This mediator keeps nothing.');
    const at = new Date();
    const outcome = Outcome.fromPartial({ state: RunState.SUCCEEDED, startedAt: at, endedAt: at });
    const all = [...EVENTS, ['ACTION_RESULT', { $case: 'outcome', value: outcome }] as const];
    for (const [index, [type, event]] of all.entries()) {
      yield {
        header: replyHeader(header, type, 'lmm', index === 0),
        runId,
        eventNo: index + 1,
        at,
        lmmInstanceId: index === 0 ? lmmInstanceId : '',
        event,
      };
    }
  },
  cancelRun: (_request, { header }) =>
    Promise.resolve({ header: replyHeader(header, 'RUN_CANCEL_ACCEPTED', 'lmm', true), lmmInstanceId }),
  listRuns: (_request, { header }) =>
    Promise.resolve({
      header: replyHeader(header, 'RUNS_LISTED', 'lmm', true),
      lmmInstanceId,
      runs: [],
      nextPageToken: '',
      transports: ['local'],
      runsMax: 100_000,
      runsActive: 0,
    }),
  ackRun: (_request, { header }) =>
    Promise.resolve({ header: replyHeader(header, 'RUNS_ACKNOWLEDGED', 'lmm', true), lmmInstanceId }),
  probeNode: () => Promise.reject(new RuneError('NODE_UNREACHABLE', 'This mediator has no nodes.')),
};

const server = await startRpcServer({
  listen: '127.0.0.1:0',
  bindings: [bindService(LmmServiceService, handlers)],
  logger: createLogger({ level: 'warn', service: 'null-mediator', stream: process.stderr }),
  source: 'lmm',
  facts: { lmmInstanceId },
});
process.once('disconnect', () => process.exit(0));
process.send?.({ address: server.address });
