import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { getEventListeners, once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { abortable } from '../../../services/shared/abortable.js';
import { RuneError } from '../../../services/shared/errors.js';
import { CancelRunRequest, LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import type { HandlerOf } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { eventually } from '../../support/eventually.js';
import { aborted, mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';
import type { RpcPair } from '../../support/rpc-pair.js';

type Mediate = HandlerOf<typeof LmmServiceService.mediate>;

/** What a handler has seen of its end. */
interface Seen {
  started: number;
  finallies: number;
  reasons: unknown[];
}

const NEVER = new Promise<never>(() => undefined);
const BIG = { ...numbered(1), runId: 'x'.repeat(60_000) };

/** Handlers that sit in different places when their consumer goes. */
const PLACES: Record<string, (seen: Seen) => Mediate> = {
  'waits for something that never comes': (seen) =>
    async function* (_request, call) {
      seen.started += 1;
      void aborted(call.signal).then((reason) => seen.reasons.push(reason));
      try {
        yield numbered(1);
        await abortable(NEVER, call.signal);
      } finally {
        seen.finallies += 1;
      }
    },
  'is held back by a reader that does not read': (seen) =>
    async function* (_request, call) {
      seen.started += 1;
      void aborted(call.signal).then((reason) => seen.reasons.push(reason));
      try {
        for (;;) yield BIG;
      } finally {
        seen.finallies += 1;
      }
    },
};

function createSeen(): Seen {
  return { started: 0, finallies: 0, reasons: [] };
}

async function assertLeft(seen: Seen, reason: string): Promise<void> {
  await eventually(() => seen.finallies > 0 && seen.reasons.length > 0, { label: 'the end of the handler' });
  // A second run of finally would come with the next turns of the loop.
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    { ...seen, reasons: seen.reasons.map((thrown) => thrown instanceof RuneError && thrown.name) },
    { started: 1, finallies: 1, reasons: [reason] },
  );
}

/** A TCP relay whose connections can be cut. */
async function startRelay(port: number): Promise<{ port: number; reset(): void; close(): void }> {
  const sockets: Socket[] = [];
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => socket.destroy());
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    reset: () => sockets.forEach((socket) => socket.resetAndDestroy()),
    close: () => void relay.close(),
  };
}

describe('when the consumer is gone', () => {
  let pair: RpcPair;
  afterEach(() => pair.stop());

  for (const [place, create] of Object.entries(PLACES)) {
    describe(`a stream whose handler ${place}`, () => {
      it('ends by a cancel: the signal aborts and finally runs once', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        const controller = new AbortController();
        const messages = pair.client.mediate(mediateRequest(), { signal: controller.signal });
        await messages.next();
        controller.abort();
        await assertLeft(seen, 'CALL_CANCELLED');
        await assert.rejects(
          async () => {
            while ((await messages.next()).done !== true);
          },
          { name: 'CALL_CANCELLED' },
        );
      });

      it('ends by the deadline', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        const messages = pair.client.mediate(mediateRequest(), { timeoutMs: 150 });
        await messages.next();
        await assertLeft(seen, 'CALL_DEADLINE_EXCEEDED');
        await assert.rejects(
          async () => {
            while ((await messages.next()).done !== true);
          },
          { name: 'CALL_DEADLINE_EXCEEDED' },
        );
      });

      it('ends by leaving the loop', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        for await (const message of pair.client.mediate(mediateRequest())) {
          assert.equal(message.eventNo, 1);
          break;
        }
        await assertLeft(seen, 'CALL_CANCELLED');
      });

      it('ends by return() before anything was read', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        const messages = pair.client.mediate(mediateRequest());
        await eventually(() => seen.started === 1, { label: 'the start of the handler' });
        await messages.return();
        await assertLeft(seen, 'CALL_CANCELLED');
      });

      it('ends by a connection reset', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        const relay = await startRelay(pair.server.port);
        const client = createRpcClient(LmmServiceService, { address: `127.0.0.1:${relay.port}` });
        const messages = client.mediate(mediateRequest());
        await messages.next();
        relay.reset();
        await assertLeft(seen, 'CALL_CANCELLED');
        await assert.rejects(
          async () => {
            while ((await messages.next()).done !== true);
          },
          { name: 'SERVICE_UNREACHABLE' },
        );
        client.close();
        relay.close();
      });

      it('ends by kill -9 of the client', async () => {
        const seen = createSeen();
        pair = await startPair({ mediate: create(seen) });
        const reader = fork(new URL('../../support/rpc-flood-reader.js', import.meta.url), [
          pair.server.address,
        ]);
        await eventually(() => seen.started === 1, { label: 'the start of the handler' });
        reader.kill('SIGKILL');
        await once(reader, 'exit');
        await assertLeft(seen, 'CALL_CANCELLED');
      });
    });
  }

  it('a handler that ignores the signal keeps the call no longer than its consumer', async () => {
    const seen = createSeen();
    let settle: (() => void) | undefined;
    pair = await startPair({
      async *mediate(_request, call) {
        void aborted(call.signal).then((reason) => seen.reasons.push(reason));
        try {
          yield numbered(1);
          await new Promise<void>((resolve) => (settle = resolve));
          yield numbered(2);
          assert.fail('nothing is produced for a consumer that is gone');
        } finally {
          seen.finallies += 1;
        }
      },
    });
    for await (const _ of pair.client.mediate(mediateRequest())) break;
    await eventually(() => seen.reasons.length === 1 && settle !== undefined, { label: 'the abort' });
    assert.equal(seen.finallies, 0);
    settle?.();
    await eventually(() => seen.finallies === 1, { label: 'finally' });
    assert.deepEqual(pair.logged(), []);
  });

  it('a finally that throws then is logged, and nothing else happens', async () => {
    pair = await startPair({
      async *mediate(_request, call) {
        try {
          yield numbered(1);
          await abortable(NEVER, call.signal);
        } finally {
          await Promise.reject(new Error('the clean-up failed'));
        }
      },
    });
    for await (const _ of pair.client.mediate(mediateRequest())) break;
    await eventually(() => pair.logged().length === 1, { label: 'the line in the log' });
    assert.match(JSON.stringify(pair.logged()), /the clean-up failed/);
  });

  it('the deadline of a unary call ends the call, not the handler', async () => {
    let finish: (() => void) | undefined;
    const done = new Promise<string>((resolve) => {
      finish = () => resolve('the work was finished');
    });
    const reasons: unknown[] = [];
    let worked: Promise<string> | undefined;
    pair = await startPair({
      async cancelRun(_request, call) {
        void aborted(call.signal).then((reason) => reasons.push(reason));
        worked = done;
        await done;
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await assert.rejects(pair.client.cancelRun(request, { timeoutMs: 100 }), {
      name: 'CALL_DEADLINE_EXCEEDED',
    });
    await eventually(() => reasons.length === 1, { label: 'the abort' });
    finish?.();
    assert.equal(await worked, 'the work was finished');
    assert.deepEqual(pair.logged(), []);
  });

  it('after a good end the signal does not abort', async () => {
    const signals: AbortSignal[] = [];
    pair = await startPair({
      async *mediate(_request, call) {
        signals.push(call.signal);
        yield numbered(1);
      },
      async cancelRun(_request, call) {
        signals.push(call.signal);
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    for await (const _ of pair.client.mediate(mediateRequest()));
    await pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    await pair.client.cancelRun(CancelRunRequest.fromPartial({ runId: '' }));
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, false, false],
    );
  });

  it('abortable() leaves no listener behind and passes results and errors on', async () => {
    const { signal } = new AbortController();
    assert.equal(await abortable(Promise.resolve(7), signal), 7);
    await assert.rejects(abortable(Promise.reject(new Error('own')), signal), /own/);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    const over = AbortSignal.abort(new RuneError('CALL_CANCELLED', 'over'));
    await assert.rejects(abortable(NEVER, over), { name: 'CALL_CANCELLED' });
  });
});
