import assert from 'node:assert/strict';
import { runCli } from '../../services/cli/cli.js';
import { RuneError } from '../../services/shared/errors.js';
import { type RunResponse, SubmitExecutionResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { type BadLinks, startBadLinks } from '../support/bad-link.js';
import { eventually } from '../support/eventually.js';
import { recorded, type ScriptedLom } from '../support/scripted-lom.js';
import { scriptedLoms } from '../support/scripted-loms.js';
import { createEvents, EXECUTION_ID } from './events.js';
import { createFakeIo, type FakeIo } from './fake-io.js';

function twoNodes(): RunResponse[] {
  const events = createEvents();
  return [
    events.accepted(2),
    events.running('web01'),
    events.log('web01', 'one'),
    events.running('web02'),
    events.succeeded('web01', { unit: 'nginx' }),
    events.succeeded('web02', { unit: 'nginx' }),
    events.final(ExecutionState.SUCCEEDED, { SUCCEEDED: 2 }),
  ];
}

/** A stream that ends after these events as one whose service goes away. */
async function* playUntilShutdown(events: readonly RunResponse[]): AsyncGenerator<RunResponse> {
  yield* events;
  throw new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
}

/** Events, then silence until the call is over. */
async function* playThenHang(
  events: readonly RunResponse[],
  signal: AbortSignal,
): AsyncGenerator<RunResponse> {
  yield* events;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

const seqs = (io: FakeIo) =>
  io
    .out()
    .trimEnd()
    .split('\n')
    .map((line): number => (JSON.parse(line) as { seq: number }).seq);

describe('a service that is lost while an execution is watched', () => {
  const relays: BadLinks[] = [];
  afterEach(() => Promise.all(relays.splice(0).map((relay) => relay.close())));
  const lomOf = scriptedLoms();
  /** The way to a server, which can be cut. */
  const relayTo = async ({ address }: ScriptedLom) => {
    const [host = '', port] = address.split(':');
    const relay = await startBadLinks({ route: () => ({ host, port: Number(port) }) });
    relays.push(relay);
    return { relay, address: `127.0.0.1:${relay.port}` };
  };
  const start = (address: string, ...args: string[]) => {
    const io = createFakeIo({ env: { XDG_CONFIG_HOME: '/nonexistent' } });
    return { io, ended: runCli([...args, '--server', address], io) };
  };
  const run = (address: string, ...args: string[]) =>
    start(address, 'run', 'tail-log', '--node', 'web01', ...args);
  const watch = (address: string, ...args: string[]) =>
    start(address, 'executions', 'watch', EXECUTION_ID, ...args);

  it('is told, waited for, and the events go on with the next one', async () => {
    const lom = await lomOf(() => ({
      run: () => playUntilShutdown(twoNodes().slice(0, 3)),
      ...recorded(twoNodes()),
    }));
    const { io, ended } = run(lom.address, '-o', 'ndjson');
    assert.equal(await ended, 0);
    assert.deepEqual(seqs(io), [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(
      lom.watches.map(({ executionId, fromSeq }) => [executionId, fromSeq]),
      [[EXECUTION_ID, 4]],
    );
    assert.equal(
      io.err(),
      'the service was lost (This service is shutting down.); trying for 60 s to go on\nthe service answers again\n',
    );
  });

  it('after the last event is not missed', async () => {
    const lom = await lomOf(() => ({ run: () => playUntilShutdown(twoNodes()) }));
    const { io, ended } = run(lom.address, '-o', 'ndjson');
    assert.equal(await ended, 0);
    assert.deepEqual(seqs(io), [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(io.err(), '');
    assert.equal(lom.watches.length, 0);
  });

  it('may be lost again and again, and an event that is repeated is shown once', async () => {
    let watches = 0;
    const lom = await lomOf(() => ({
      ...recorded(twoNodes()),
      watchExecution({ fromSeq }) {
        watches += 1;
        const from = Math.max(0, fromSeq - 2);
        return watches < 6 ? playUntilShutdown(twoNodes().slice(from, watches)) : recordedFrom(from);
      },
    }));
    async function* recordedFrom(from: number) {
      yield* twoNodes().slice(from);
    }
    const { io, ended } = watch(lom.address, '-o', 'ndjson');
    assert.equal(await ended, 0);
    assert.deepEqual(seqs(io), [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(io.err().match(/the service was lost/g)?.length, 5);
  });

  it('may be another one when it is back, with what was chosen still chosen', async () => {
    const first = await lomOf(() => ({
      ...recorded(twoNodes()),
      watchExecution: (_request, { signal }) => playThenHang(twoNodes().slice(0, 2), signal),
    }));
    const { io, ended } = watch(first.address, '--node', 'web01', '--no-log', '-o', 'ndjson');
    await eventually(() => io.out().includes('"seq":2'), { label: 'the second event' });
    await first.stop();
    await eventually(() => io.err().includes('the service was lost'), { label: 'the loss' });
    const second = await lomOf(() => recorded(twoNodes()), first.address);
    assert.equal(await ended, 0);
    assert.deepEqual(seqs(io), [1, 2, 5, 7]);
    const [request] = second.watches;
    assert.deepEqual([request?.fromSeq, request?.nodes, request?.withoutLog], [3, ['web01'], true]);
  });

  it('before the first event gets the same request again, and so makes one execution', async () => {
    let cut: () => void = () => undefined;
    const lom = await lomOf(() => ({
      async *run() {
        if (lom.runs.length === 1) {
          cut();
          await new Promise(() => undefined);
        }
        yield* twoNodes();
      },
    }));
    const { relay, address } = await relayTo(lom);
    cut = () => relay.links()[0]?.destroy();
    const { io, ended } = run(address, '-o', 'ndjson');
    assert.equal(await ended, 0, io.err());
    assert.deepEqual(seqs(io), [1, 2, 3, 4, 5, 6, 7]);
    const [first, second] = lom.runs;
    assert.match(first?.requestId ?? '', /^[0-9a-f-]{36}$/);
    assert.equal(second?.requestId, first?.requestId);
    assert.equal(lom.runs.length, 2);
  });

  it('and does not come back ends with 3, and says how to go on', async () => {
    const lom = await lomOf(() => ({
      run: (_request, { signal }) => playThenHang(twoNodes().slice(0, 5), signal),
    }));
    const { io, ended } = run(lom.address, '--resume-for', '300ms');
    await eventually(() => io.err().includes('web01  succeeded'), { label: 'the first outcome' });
    await lom.stop();
    assert.equal(await ended, 3);
    assert.match(io.err(), /^the service was lost \(.*\); trying for 0\.3 s to go on$/m);
    assert.match(io.err(), /^SERVICE_(UNREACHABLE|SHUTTING_DOWN): /m);
    assert.match(io.err(), /^1 succeeded, 1 not known to have ended in /m);
    assert.match(
      io.err(),
      new RegExp(
        `^execution ${EXECUTION_ID} may still be running; to go on: rune executions watch ${EXECUTION_ID} --from-seq 6$`,
        'm',
      ),
    );
  });

  it('before the first event, and does not come back, leaves it open whether anything runs', async () => {
    const lom = await lomOf(() => ({
      run() {
        throw new RuneError('SERVICE_SHUTTING_DOWN', 'This service is shutting down.');
      },
    }));
    const { io, ended } = run(lom.address, '--resume-for', '200ms', '-o', 'json');
    assert.equal(await ended, 3);
    const { error } = JSON.parse(io.out()) as { error: { errorData: { name: string; message: string } } };
    assert.equal(error.errorData.name, 'OUTCOME_UNKNOWN');
    assert.match(
      error.errorData.message,
      new RegExp(`the same command with --request-id ${lom.runs[0]?.requestId}`),
    );
  });

  it('that was never reached is not waited for', async () => {
    for (const args of [
      ['run', 'tail-log', '--node', 'web01'],
      ['run', 'tail-log', '--node', 'web01', '--detach'],
      ['executions', 'watch', EXECUTION_ID],
      ['executions', 'rerun', EXECUTION_ID],
    ]) {
      const { io, ended } = start('127.0.0.1:1', ...args);
      assert.equal(await ended, 5);
      assert.match(io.err(), /^rune: SERVICE_UNREACHABLE: /);
    }
  });

  it('is not waited for after an error that has another reason', async () => {
    const lom = await lomOf(() => ({
      run: () => playUntilShutdown(twoNodes().slice(0, 2)),
      watchExecution() {
        throw new RuneError('EXECUTION_NOT_FOUND', 'There is no such execution.');
      },
    }));
    const { io, ended } = run(lom.address);
    assert.equal(await ended, 3);
    assert.match(io.err(), /^EXECUTION_NOT_FOUND: There is no such execution\.$/m);
    assert.equal(lom.watches.length, 1);
  });

  it('gets the cancel of a Ctrl-C when it is back', async () => {
    let up = false;
    const events = createEvents();
    const accepted = events.accepted(1);
    const lom = await lomOf((cancelled) => ({
      run: (_request, { signal }) => playThenHang([accepted], signal),
      async cancelExecution() {
        if (!up) throw new RuneError('STORE_UNAVAILABLE', 'The database is away.');
        return { header: undefined, state: ExecutionState.CANCELLING };
      },
      async *watchExecution() {
        await cancelled;
        await eventually(() => up, { label: 'the service is back' });
        yield events.state(ExecutionState.CANCELLING);
        yield events.outcome('web01', { state: RunState.CANCELLED, cancelConfirmed: true });
        yield events.final(ExecutionState.CANCELLED, { CANCELLED: 1 });
      },
    }));
    const { relay, address } = await relayTo(lom);
    const { io, ended } = run(address);
    await eventually(() => io.err().includes(EXECUTION_ID), { label: 'the execution' });
    relay.links()[0]?.destroy();
    await eventually(() => lom.watches.length > 0, { label: 'the resumed stream' });
    io.first.abort();
    await eventually(() => lom.cancels.length > 1, { label: 'the second try to cancel' });
    up = true;
    assert.equal(await ended, 130);
    assert.equal(
      io.err().match(/the cancel did not reach the service \(The database is away\.\)/g)?.length,
      1,
    );
    assert.match(io.err(), /kill confirmed/);
  });

  it('while an execution is submitted gets the same request again', async () => {
    const lom = await lomOf(() => ({
      async submitExecution({ requestId }) {
        if (lom.submits.length < 3) throw new RuneError('SERVICE_SHUTTING_DOWN', 'Shutting down.');
        const execution = { executionId: EXECUTION_ID, requestId };
        return SubmitExecutionResponse.fromPartial({ execution, existing: true });
      },
    }));
    const { io, ended } = run(lom.address, '--detach');
    assert.equal(await ended, 0);
    assert.equal(io.out(), `${EXECUTION_ID}\n`);
    assert.equal(new Set(lom.submits.map(({ requestId }) => requestId)).size, 1);
    assert.equal(
      io.err(),
      'the service was lost (Shutting down.); trying for 60 s\n' +
        'an earlier request with this request id made it\n' +
        `to watch it: rune executions watch ${EXECUTION_ID}\n`,
    );
  });

  it('or is left while an execution is submitted, leaves it open whether anything runs', async () => {
    const lom = await lomOf(() => ({ submitExecution: () => new Promise(() => undefined) }));
    const timedOut = run(lom.address, '--detach', '--call-timeout', '200ms', '--request-id', 'mine');
    assert.equal(await timedOut.ended, 3);
    assert.match(
      timedOut.io.err(),
      /^rune: OUTCOME_UNKNOWN: .*the same command with --request-id mine shows/,
    );
    const left = run(lom.address, '--detach');
    await eventually(() => lom.submits.length === 2, { label: 'the second request' });
    left.io.first.abort();
    assert.equal(await left.ended, 3);
    assert.match(left.io.err(), /^rune: OUTCOME_UNKNOWN: /);
  });
});
