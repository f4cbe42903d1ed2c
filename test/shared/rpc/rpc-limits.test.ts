import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../../services/shared/errors.js';
import { CancelRunRequest } from '../../../services/shared/gen/rune/v1/lmm.js';
import { aborted, mediateRequest, numbered, startPair } from '../../support/rpc-pair.js';
import { startIdleServer } from '../../support/idle-server.js';
import { buf } from '../../support/buf.js';

const never = (): Promise<never> => new Promise(() => undefined);

describe('the limits of calls', () => {
  const LARGE = 'x'.repeat(4 * 1024 * 1024);

  it('a request above 4 MiB is refused by its sender', async () => {
    let asked = 0;
    const pair = await startPair({
      cancelRun: async () => {
        asked += 1;
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const request = CancelRunRequest.fromPartial({ runId: LARGE });
    await assert.rejects(pair.client.cancelRun(request), {
      name: 'MESSAGE_TOO_LARGE',
      message: /4194304 are allowed/,
    });
    assert.throws(
      () => pair.client.mediate({ header: undefined, command: { $case: 'start', value: null as never } }),
      {
        name: 'INVALID_REQUEST',
      },
    );
    assert.equal(asked, 0);
    await pair.stop();
  });

  it('a request above 4 MiB from another kind of client is refused by the server', async () => {
    const server = await startIdleServer({});
    const folder = await mkdtemp(join(tmpdir(), 'rune-rpc-'));
    await writeFile(join(folder, 'request.json'), JSON.stringify({ runId: LARGE }));
    const answer = await buf(
      '-d',
      `@${folder}/request.json`,
      `http://${server.address}/rune.v1.LmmService/CancelRun`,
    );
    assert.match(answer.stderr, /resource_exhausted/);
    await rm(folder, { recursive: true });
    await server.stop(0);
  });

  it('an answer above 4 MiB is refused by the server that made it', async () => {
    const pair = await startPair({
      cancelRun: async () => ({ header: undefined, lmmInstanceId: LARGE }),
      async *mediate() {
        yield numbered(1);
        yield { ...numbered(2), runId: LARGE };
      },
    });
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await assert.rejects(pair.client.cancelRun(request), {
      name: 'MESSAGE_TOO_LARGE',
      message: /The answer has/,
    });
    const messages = pair.client.mediate(mediateRequest());
    assert.equal((await messages.next()).value?.eventNo, 1);
    await assert.rejects(messages.next(), { name: 'MESSAGE_TOO_LARGE' });
    await pair.stop();
  });

  it('a unary call without a deadline gets one, and no deadline is later than the cap', async () => {
    const seen: number[] = [];
    const pair = await startPair(
      {
        async cancelRun(_request, call) {
          seen.push(call.deadlineMs - Date.now());
          return { header: undefined, lmmInstanceId: '' };
        },
        async *mediate(_request, call) {
          seen.push(call.deadlineMs);
          yield numbered(1);
        },
      },
      { server: { unaryTimeoutMs: 40_000, unaryTimeoutMsMax: 50_000 } },
    );
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await buf('-d', '{}', `http://${pair.server.address}/rune.v1.LmmService/CancelRun`);
    await pair.client.cancelRun(request, { timeoutMs: 90_000 });
    await pair.client.cancelRun(request, { timeoutMs: 9_000 });
    for await (const _ of pair.client.mediate(mediateRequest()));
    const [standard = 0, capped = 0, own = 0, stream] = seen;
    assert.ok(standard > 30_000 && standard <= 40_000, `${standard}`);
    assert.ok(capped > 41_000 && capped <= 50_000, `${capped}`);
    assert.ok(own > 0 && own <= 9_000, `${own}`);
    assert.equal(stream, Infinity);
    await pair.stop();
  });

  it('the cap ends the call with CALL_DEADLINE_EXCEEDED and aborts its signal', async () => {
    const reasons: unknown[] = [];
    const pair = await startPair(
      {
        async cancelRun(_request, call) {
          void aborted(call.signal).then((reason) => reasons.push(reason));
          return never();
        },
      },
      { server: { unaryTimeoutMsMax: 50 } },
    );
    const request = CancelRunRequest.fromPartial({ runId: '' });
    await assert.rejects(pair.client.cancelRun(request), (error: unknown) => {
      assert.ok(error instanceof RuneError);
      assert.equal(error.name, 'CALL_DEADLINE_EXCEEDED');
      assert.match(error.message, /than this service allows/);
      return true;
    });
    assert.equal((reasons[0] as RuneError).name, 'CALL_DEADLINE_EXCEEDED');
    await pair.stop();
  });

  it('handlers see a complete header whose sender is the peer, whatever the message says', async () => {
    const seen: unknown[] = [];
    const pair = await startPair({
      async cancelRun({ header }, call) {
        seen.push(header?.security?.senderIdentity, call.header.security?.senderIdentity, call.identity.name);
        seen.push(call.header.messageMetadata?.messageId.length);
        return { header: undefined, lmmInstanceId: '' };
      },
    });
    const { RcsHeader } = await import('../../../services/shared/gen/rune/v1/rcs.js');
    const header = RcsHeader.fromPartial({ security: { senderIdentity: 'root' } });
    await pair.client.cancelRun(CancelRunRequest.fromPartial({ header, runId: '' }));
    assert.deepEqual(seen, ['root', 'loopback', 'loopback', 36]);
    await pair.stop();
  });
});
