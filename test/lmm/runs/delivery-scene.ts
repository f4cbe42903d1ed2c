import assert from 'node:assert/strict';
import type { MediatorSettings } from '../../../services/lmm/mediate.js';
import type { RuneError } from '../../../services/shared/errors.js';
import {
  AckRunRequest,
  CancelRunRequest,
  ListRunsRequest,
  type MediateAttach,
  type MediatedRun,
  type MediateResponse,
} from '../../../services/shared/gen/rune/v1/lmm.js';
import { RunState, type Outcome, type StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../../services/shared/messages/ids.js';
import { eventually } from '../../support/eventually.js';
import { serveMediator, type MediatorServer } from '../../support/mediator-server.js';
import { mediatorWith, startMessage, type StartFields } from '../../support/scripted-mediator.js';
import { ended, type NodeScript } from '../../support/scripted-transport.js';
import { rejectionOf } from '../../support/thrown-by.js';

/** The name of the mediator's process. */
export const INSTANCE = 'this-process';

/** A plugin on a node that does what a test tells it. */
export interface Actor {
  /** One line of log; settles when the node may go on. */
  log(text: string): Promise<void>;
  /** A progress line, which also ends the batch of log before it. */
  progress(): Promise<void>;
  succeed(outputJson?: string): void;
}

/** The messages of a run. */
export type Stream = AsyncGenerator<MediateResponse, void, undefined>;

/** A mediator that a test opens, whose nodes are actors, and what its callers do. */
export interface DeliveryScene {
  readonly server: MediatorServer;
  readonly mediator: ReturnType<typeof mediatorWith>;
  /** The plugins that began, by run id. */
  readonly actors: ReadonlyMap<string, Actor>;
  /** Once in every test, unless it serves a mediator of its own. */
  open(settings?: Partial<MediatorSettings>, instanceId?: string): Promise<void>;
  serve(own: ReturnType<typeof mediatorWith>): Promise<void>;
  actor(runId: string): Actor;
  start(fields?: StartFields, client?: MediatorServer['client']): Stream;
  attach(runId: string, fields?: Partial<MediateAttach>, client?: MediatorServer['client']): Stream;
  cancel(runId: string, fields?: Partial<CancelRunRequest>): Promise<unknown>;
  acknowledge(...runIds: string[]): Promise<unknown>;
  listed(): Promise<MediatedRun[]>;
  find(runId: string): Promise<MediatedRun | undefined>;
  /** The error of this name with which the mediator refuses a call. */
  refused(name: string, calling: Promise<unknown>): Promise<RuneError>;
  /** Starts a run, reads until the plugin runs, and leaves the stream open. */
  begin(fields?: StartFields): Promise<{ runId: string; stream: Stream }>;
  leave(runId: string, stream: Stream): Promise<void>;
  /** A run whose reader left before its end. */
  endUnread(fields?: StartFields, outputJson?: string): Promise<string>;
}

/** Reads so many messages. */
export async function take(stream: Stream, count: number): Promise<MediateResponse[]> {
  const messages: MediateResponse[] = [];
  while (messages.length < count) {
    const { value, done } = await stream.next();
    if (done === true) break;
    messages.push(value);
  }
  return messages;
}

/** Reads all messages that there are still. */
export const rest = (stream: Stream): Promise<MediateResponse[]> => take(stream, Infinity);

/** The numbers of the events. */
export const numbers = (messages: readonly MediateResponse[]): number[] =>
  messages.map(({ eventNo }) => eventNo);

/** The lines of log. */
export const texts = (messages: readonly MediateResponse[]): string[] =>
  messages.flatMap(({ event }) =>
    event?.$case === 'log' ? event.value.lines.map(({ content }) => String(content?.value)) : [],
  );

/** The outcome, which is to be the last message. */
export function outcomeOf(messages: readonly MediateResponse[]): Outcome {
  const last = messages.at(-1)?.event;
  return last?.$case === 'outcome' ? last.value : assert.fail('the last message is no outcome');
}

/** Fields of a start whose run is stopped so soon after its last reader left. */
export const orphanAfter = (ms: number): StartFields => ({
  limits: { orphanAfter: { seconds: 0, nanos: ms * 1_000_000 } },
});

/** Stops the mediator of each test after it. To be called in a `describe`. */
export function deliveryScene(): DeliveryScene {
  let server: MediatorServer;
  let mediator: ReturnType<typeof mediatorWith>;
  const actors = new Map<string, Actor>();
  afterEach(async () => {
    await server.stop();
    actors.clear();
  });

  const script: NodeScript = ({ runId }, sink, stop) =>
    new Promise((resolve) => {
      sink.started();
      const say = async (line: string): Promise<void> => sink.stderr(Buffer.from(`${line}\n`));
      actors.set(runId, {
        log: say,
        progress: () => say('\x1eRUNE {"type":"progress","percent":1,"message":"on"}'),
        succeed(outputJson = '{}') {
          void sink.stdout(Buffer.from(`{"payload":{"result":"success","output_data":${outputJson}}}`));
          resolve(ended(0));
        },
      });
      stop.addEventListener('abort', () =>
        resolve(ended(143, { end: { signal: 'TERM' }, stopReason: stop.reason as StopReason })),
      );
    });

  const serve = async (served: ReturnType<typeof mediatorWith>): Promise<void> => {
    mediator = served;
    server = await serveMediator(mediator);
  };
  const actor = (runId: string): Actor => actors.get(runId) ?? assert.fail('the node was not reached');
  const start: DeliveryScene['start'] = (fields = {}, client = server.client) =>
    client.mediate({ header: undefined, command: { $case: 'start', value: startMessage(fields) } });
  const listed = async (): Promise<MediatedRun[]> =>
    (await server.client.listRuns(ListRunsRequest.fromPartial({ pageSize: 1000 }))).runs;
  const find: DeliveryScene['find'] = async (runId) => (await listed()).find((run) => run.runId === runId);
  const begin: DeliveryScene['begin'] = async (fields = {}) => {
    const runId = newId();
    const stream = start({ runId, ...fields });
    assert.deepEqual(numbers(await take(stream, 2)), [1, 2]);
    return { runId, stream };
  };
  const leave: DeliveryScene['leave'] = async (runId, stream) => {
    await stream.return();
    await eventually(async () => (await find(runId))?.attached !== true, { label: 'the leaving' });
  };

  return {
    get server() {
      return server;
    },
    get mediator() {
      return mediator;
    },
    actors,
    open: (settings = {}, instanceId = INSTANCE) =>
      serve(mediatorWith(script, { settings: { runsMax: 50, ...settings }, instanceId, local: true })),
    serve,
    actor,
    start,
    attach(runId, fields = {}, client = server.client) {
      const value = { runId, lmmInstanceId: INSTANCE, afterEvent: 0, ownerEpoch: 0, ...fields };
      return client.mediate({ header: undefined, command: { $case: 'attach', value } });
    },
    cancel: (runId, fields = {}) =>
      server.client.cancelRun(CancelRunRequest.fromPartial({ runId, ...fields })),
    acknowledge: (...runIds) =>
      server.client.ackRun(AckRunRequest.fromPartial({ lmmInstanceId: INSTANCE, runIds })),
    listed,
    find,
    async refused(name, calling) {
      const error = await rejectionOf(calling);
      assert.equal(error.name, name);
      assert.equal(error.facts.lmmInstanceId, mediator.instanceId);
      return error;
    },
    begin,
    leave,
    async endUnread(fields = {}, outputJson = '{}') {
      const { runId, stream } = await begin(fields);
      await leave(runId, stream);
      actor(runId).succeed(outputJson);
      await eventually(async () => (await find(runId))?.state !== RunState.RUNNING, { label: 'the end' });
      return runId;
    },
  };
}
