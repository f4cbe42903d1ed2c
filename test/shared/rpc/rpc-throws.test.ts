import assert from 'node:assert/strict';
import { RcsHeader } from '../../../services/shared/gen/rune/v1/rcs.js';
import { CancelRunRequest, LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { RuneError } from '../../../services/shared/errors.js';
import type { ErrorName } from '../../../services/shared/errors.js';
import type { HandlerOf } from '../../../services/shared/rpc/rpc-binding.js';
import type { CallContext } from '../../../services/shared/rpc/rpc-call.js';
import { mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';
import type { RpcPair } from '../../support/rpc-pair.js';

type Mediate = HandlerOf<typeof LmmServiceService.mediate>;
type CancelRun = HandlerOf<typeof LmmServiceService.cancelRun>;

const NO_TIME = new Date(Number.NaN);
const REQUEST = CancelRunRequest.fromPartial({ runId: 'run' });

async function endOfStream(pair: RpcPair): Promise<{ messages: number; error: unknown }> {
  let messages = 0;
  try {
    for await (const message of pair.client.mediate(mediateRequest(), { timeoutMs: 5_000 })) {
      messages += message.eventNo > 0 ? 1 : 0;
    }
  } catch (error) {
    return { messages, error };
  }
  return { messages, error: undefined };
}

function assertError(thrown: unknown, name: ErrorName, message?: RegExp): void {
  assert.ok(thrown instanceof RuneError, `not a RuneError: ${String(thrown)}`);
  assert.equal(thrown.name, name);
  // Only an EPS detail carries the time of the error.
  assert.ok(thrown.facts.timestamp instanceof Date, 'the error came without its EPS detail');
  if (message !== undefined) assert.match(thrown.message, message);
}

describe('a handler that throws ends its call with a status', () => {
  let pair: RpcPair;
  afterEach(() => pair.stop());

  const boom = (): never => {
    throw new Error('the secret cause');
  };
  const streams: [string, Mediate, number][] = [
    [
      'before its first message',
      async function* () {
        yield boom();
      },
      0,
    ],
    [
      'after a message',
      async function* () {
        yield numbered(1);
        boom();
      },
      1,
    ],
    [
      'in its finally',
      async function* () {
        try {
          yield numbered(1);
        } finally {
          boom();
        }
      },
      1,
    ],
    ['before it gives a stream', boom, 0],
    ['when its iterator is asked for', () => ({ [Symbol.asyncIterator]: boom }), 0],
    ['by an iterator that throws at once', () => ({ [Symbol.asyncIterator]: () => ({ next: boom }) }), 0],
    [
      'by a value that is no error',
      async function* () {
        yield numbered(1);
        throw undefined;
      },
      1,
    ],
    [
      'by a message that cannot be written',
      async function* () {
        yield numbered(1);
        yield { ...numbered(2), at: NO_TIME };
      },
      1,
    ],
    [
      'by something that is no message',
      async function* () {
        yield numbered(1);
        yield null as never;
      },
      1,
    ],
  ];
  for (const [where, mediate, messages] of streams) {
    it(`as a stream, ${where}`, async () => {
      pair = await startPair({ mediate });
      const end = await endOfStream(pair);
      assertError(end.error, 'INTERNAL');
      assert.equal(end.messages, messages);
      assert.deepEqual((await endOfStream(pair)).messages, messages, 'the server goes on');
    });
  }

  const unaries: [string, CancelRun][] = [
    ['by a rejection', async () => boom()],
    ['at once', boom],
    ['by a value that is no error', () => Promise.reject('text')],
    ['by an answer that is no promise', () => undefined as never],
    [
      'by an answer that cannot be written',
      async () => ({
        header: RcsHeader.fromPartial({ messageMetadata: { createdAt: NO_TIME } }),
        lmmInstanceId: '',
      }),
    ],
  ];
  for (const [how, cancelRun] of unaries) {
    it(`as a unary call, ${how}`, async () => {
      pair = await startPair({ cancelRun });
      const error = await pair.client
        .cancelRun(REQUEST, { timeoutMs: 5_000 })
        .catch((thrown: unknown) => thrown);
      assertError(error, 'INTERNAL');
    });
  }

  it('and its cause is logged, once, and never sent', async () => {
    pair = await startPair({ cancelRun: async () => boom() });
    const error = await pair.client.cancelRun(REQUEST).catch((thrown: unknown) => thrown);
    assert.doesNotMatch(JSON.stringify([error, (error as Error).message]), /secret cause/);
    const lines = pair.logged().filter((line) => JSON.stringify(line).includes('the secret cause'));
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.['level'], 'error');
    const [line] = lines;
    assert.deepEqual(
      [line['error'], line['method'], line['identity']],
      ['INTERNAL', '/rune.v1.LmmService/CancelRun', 'loopback'],
    );
    assert.equal(
      line['error_fingerprint'],
      (error as RuneError).eps?.observability?.errorFingerprint,
      'the caller got the fingerprint by which the line can be found',
    );
  });

  it('a RuneError arrives with its name, message and facts', async () => {
    pair = await startPair({
      async *mediate() {
        yield numbered(1);
        throw new RuneError('RUN_NOT_FOUND', 'There is no run «7».', { runId: '7', node: 'web01' });
      },
    });
    const { error, messages } = await endOfStream(pair);
    assertError(error, 'RUN_NOT_FOUND', /^There is no run «7»\.$/);
    assert.equal((error as RuneError).facts.runId, '7');
    assert.equal((error as RuneError).facts.node, 'web01');
    assert.equal(messages, 1);
    const [line, ...more] = pair.logged();
    assert.deepEqual([line?.['level'], line?.['error'], more.length], ['info', 'RUN_NOT_FOUND', 0]);
    assert.equal(line?.['error_fingerprint'], (error as RuneError).eps?.observability?.errorFingerprint);
    assert.doesNotMatch(JSON.stringify(line), /There is no run/, 'a message may repeat what was sent');
  });

  it('an error whose facts cannot be written still ends the call', async () => {
    pair = await startPair({
      cancelRun: async () => {
        throw new RuneError('RUN_NOT_FOUND', 'gone \ud800', {
          attempt: Number.NaN,
          exitCode: 1.5,
          timestamp: NO_TIME,
        });
      },
    });
    const error = await pair.client.cancelRun(REQUEST).catch((thrown: unknown) => thrown);
    assertError(error, 'RUN_NOT_FOUND', /^gone \ufffd$/);
  });

  it('a request that is no message ends with INVALID_REQUEST', async () => {
    const asked: CallContext[] = [];
    pair = await startPair({
      cancelRun: async (_request, call) => {
        asked.push(call);
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const { createRpcClient } = await import('../../../services/shared/rpc/rpc-client.js');
    const garbage = createRpcClient(
      {
        cancelRun: {
          ...LmmServiceService.cancelRun,
          requestSerialize: () => Buffer.from([0x0a, 0xff, 0x01]),
        },
      },
      { address: pair.server.address },
    );
    const error = await garbage.cancelRun(REQUEST).catch((thrown: unknown) => thrown);
    garbage.close();
    assertError(error, 'INVALID_REQUEST');
    assert.equal(asked.length, 0);
  });
});
