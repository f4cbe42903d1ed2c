import assert from 'node:assert/strict';
import { acceptHeader } from '../../services/shared/header.js';
import { RuneError } from '../../services/shared/errors.js';
import { MediateResponse } from '../../services/shared/gen/rune/v1/lmm.js';
import type { RunResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, Node, Outcome, RunState } from '../../services/shared/gen/rune/v1/run.js';
import type { Logger } from '../../services/shared/logger.js';
import { startExecution, type Execution, type ExecutionSettings } from '../../services/lom/execution.js';
import type { Dispatcher, RunIdentity } from '../../services/lom/dispatch.js';
import type { Plan, PlannedRun } from '../../services/lom/plan.js';
import type { Action } from '../../services/shared/bundle/action.js';
import { recordingLogger } from '../support/recording-logger.js';
import { eventually } from '../support/eventually.js';

const SETTINGS: ExecutionSettings = {
  watcherBufferBytesMax: 4096,
  watcherStallMs: 60_000,
  lostStopsWithinMs: 1000,
  cancelTriesMax: 3,
  cancelRetryMs: 1,
};

const planOf = (nodes: string[], maxParallel = 100): Plan => ({
  action: { capability: { action: 'noop', version: '1.0.0', digest: 'd' } } as unknown as Action,
  params: {},
  arguments: [],
  reason: '',
  dryRun: false,
  timeoutMs: 1000,
  killGraceMs: 100,
  connectTimeoutMs: 100,
  maxParallel,
  runs: nodes.map((name) => ({
    node: Node.fromPartial({ name }),
    transport: 'ssh',
    mediators: [{ address: 'm:1', zone: '' }],
    jump: [],
    configuration: {},
    runAs: undefined,
  })),
});

type Script = (run: PlannedRun, identity: RunIdentity) => AsyncGenerator<MediateResponse, void, undefined>;

const accepted = (): MediateResponse =>
  MediateResponse.fromPartial({ event: { $case: 'accepted', value: {} } });
const running = (): MediateResponse =>
  MediateResponse.fromPartial({ event: { $case: 'state', value: RunState.RUNNING } });
const outcome = (state: RunState): MediateResponse =>
  MediateResponse.fromPartial({ event: { $case: 'outcome', value: Outcome.fromPartial({ state }) } });
const logOf = (text: string): MediateResponse =>
  MediateResponse.fromPartial({
    event: { $case: 'log', value: { lines: [{ content: { $case: 'text', value: text } }] } },
  });

async function* succeed(): AsyncGenerator<MediateResponse, void, undefined> {
  yield accepted();
  yield running();
  yield outcome(RunState.SUCCEEDED);
}

function execute(
  plan: Plan,
  script: Script,
  fields: { settings?: Partial<ExecutionSettings>; cancel?: Dispatcher['cancel']; logger?: Logger } = {},
): Execution {
  const dispatcher: Dispatcher = {
    start(_plan, run, identity, placed) {
      placed('m:1');
      return script(run, identity);
    },
    cancel: fields.cancel ?? (() => Promise.resolve()),
    probe: () => Promise.reject(new Error('not scripted')),
    close: () => undefined,
  };
  const caller = {
    header: acceptHeader(undefined, { identity: 'test', nowMs: Date.now() }),
    triggeredBy: 'test',
  };
  return startExecution(plan, caller, {
    dispatcher,
    settings: { ...SETTINGS, ...fields.settings },
    logger: fields.logger ?? recordingLogger().logger,
  });
}

async function eventsOf(
  execution: Execution,
  seen: (event: RunResponse) => void = () => undefined,
): Promise<RunResponse[]> {
  const events: RunResponse[] = [];
  for await (const event of execution.events(new AbortController().signal)) {
    events.push(event);
    seen(event);
  }
  return events;
}

const cancelOnceRunning =
  (execution: Execution) =>
  (event: RunResponse): void => {
    if (event.event?.$case === 'state') execution.cancel('enough');
  };

const outcomes = (events: RunResponse[]): Map<string, Outcome> =>
  new Map(
    events.flatMap(({ node, event }) => (event?.$case === 'outcome' ? [[node, event.value] as const] : [])),
  );

function lastState(events: RunResponse[]): ExecutionState | undefined {
  const event = events.at(-1)?.event;
  return event?.$case === 'execution' ? event.value.state : undefined;
}

describe('an execution', () => {
  it('numbers its events without gaps and ends with its state and a count per run state', async () => {
    const events = await eventsOf(execute(planOf(['a', 'b', 'c']), succeed));
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_event, index) => index + 1),
    );
    assert.equal(events[0]?.event?.$case, 'execution');
    const last = events.at(-1)?.event;
    assert.ok(last?.$case === 'execution');
    assert.equal(last.value.state, ExecutionState.SUCCEEDED);
    assert.deepEqual(last.value.counts, [{ state: RunState.SUCCEEDED, count: 3 }]);
  });

  it('carries a full header on its first event and a short one on the others', async () => {
    const [first, second] = await eventsOf(execute(planOf(['a']), succeed));
    assert.equal(first?.header?.payload?.schemaVersion, 'rcs_v2');
    assert.equal(second?.header?.payload, undefined);
    assert.equal(
      second?.header?.messageMetadata?.parentMessageId,
      first?.header?.messageMetadata?.parentMessageId,
    );
  });

  it('never runs more at once than the plan allows', async () => {
    let now = 0;
    let most = 0;
    const names = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const events = await eventsOf(
      execute(planOf(names, 4), async function* () {
        most = Math.max(most, ++now);
        yield accepted();
        await new Promise(setImmediate);
        now--;
        yield outcome(RunState.SUCCEEDED);
      }),
    );
    assert.equal(most, 4);
    assert.equal(outcomes(events).size, 30);
  });

  it('without any node has succeeded at once', async () => {
    assert.equal(lastState(await eventsOf(execute(planOf([]), succeed))), ExecutionState.SUCCEEDED);
  });

  it('tells a refused run, a broken stream and an early end apart', async () => {
    const events = await eventsOf(
      execute(planOf(['refused', 'broken', 'short']), async function* ({ node }) {
        if (node.name === 'refused') throw new RuneError('MEDIATOR_UNAVAILABLE', 'not there');
        yield accepted();
        if (node.name === 'broken') throw new RuneError('SERVICE_UNREACHABLE', 'connection reset');
      }),
    );
    const seen = outcomes(events);
    assert.equal(seen.get('refused')?.state, RunState.FAILED);
    assert.equal(seen.get('refused')?.error?.errorData?.name, 'MEDIATOR_UNAVAILABLE');
    assert.equal(seen.get('refused')?.maySurvive, false);
    for (const node of ['broken', 'short']) {
      assert.equal(seen.get(node)?.state, RunState.LOST);
      assert.equal(seen.get(node)?.error?.errorData?.name, 'OUTCOME_UNKNOWN');
      assert.ok(seen.get(node)?.stoppedOnNodeBy instanceof Date);
    }
    assert.equal(lastState(events), ExecutionState.FAILED);
  });

  it('goes on when its watcher leaves', async () => {
    const execution = execute(planOf(['a', 'b'], 1), succeed);
    for await (const event of execution.events(new AbortController().signal)) {
      assert.equal(event.seq, 1);
      break;
    }
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
  });

  it('gives up a watcher that stalls, and goes on without it', async () => {
    const script: Script = async function* () {
      yield accepted();
      for (let line = 0; line < 100; line++) yield logOf('x'.repeat(500));
      yield outcome(RunState.SUCCEEDED);
    };
    const execution = execute(planOf(['a']), script, { settings: { watcherStallMs: 20 } });
    const watcher = execution.events(new AbortController().signal);
    await watcher.next();
    await execution.finished;
    assert.equal(execution.state, ExecutionState.SUCCEEDED);
    await assert.rejects(async () => {
      while (!(await watcher.next()).done);
    }, /READER_TOO_SLOW/);
  });

  describe('when it is cancelled', () => {
    it('tells the mediator once it has the run, and starts none of the waiting ones', async () => {
      const cancelled: string[] = [];
      let stopped = (): void => undefined;
      const stop = new Promise<void>((resolve) => (stopped = resolve));
      const execution = execute(
        planOf(['first', 'waiting'], 1),
        async function* () {
          yield accepted();
          yield running();
          await stop;
          yield outcome(RunState.CANCELLED);
        },
        {
          cancel: async (_address, runId) => {
            cancelled.push(runId);
            stopped();
          },
        },
      );
      const events = await eventsOf(execution, cancelOnceRunning(execution));
      assert.equal(cancelled.length, 1);
      assert.equal(outcomes(events).get('waiting')?.state, RunState.CANCELLED);
      assert.equal(outcomes(events).get('waiting')?.startedAt, undefined);
      assert.equal(lastState(events), ExecutionState.CANCELLED);
      const states = events.flatMap(({ event }) => (event?.$case === 'execution' ? [event.value.state] : []));
      assert.deepEqual(states, [ExecutionState.RUNNING, ExecutionState.CANCELLING, ExecutionState.CANCELLED]);
    });

    it('tries again when the mediator cannot be told at once', async () => {
      let tried = 0;
      let stopped = (): void => undefined;
      const stop = new Promise<void>((resolve) => (stopped = resolve));
      const execution = execute(
        planOf(['a']),
        async function* () {
          yield accepted();
          yield running();
          await stop;
          yield outcome(RunState.CANCELLED);
        },
        {
          cancel: async () => {
            if (++tried < 3) throw new RuneError('SERVICE_UNREACHABLE', 'not now');
            stopped();
          },
        },
      );
      await eventsOf(execution, cancelOnceRunning(execution));
      assert.equal(tried, 3);
    });

    it('tells the mediators again when it is asked again', async () => {
      let told = 0;
      let stopped = (): void => undefined;
      const stop = new Promise<void>((resolve) => (stopped = resolve));
      const execution = execute(
        planOf(['a']),
        async function* () {
          yield accepted();
          yield running();
          await stop;
          yield outcome(RunState.CANCELLED);
        },
        {
          settings: { cancelTriesMax: 1 },
          cancel: async () => {
            if (++told === 1) throw new RuneError('MESSAGE_TOO_LARGE', 'never');
            stopped();
          },
        },
      );
      const events = await eventsOf(execution, (event) => {
        if (event.event?.$case !== 'state') return;
        execution.cancel('first');
        setImmediate(() => execution.cancel('second'));
      });
      assert.equal(told, 2);
      assert.equal(lastState(events), ExecutionState.CANCELLED);
    });

    it('reaches a run whose mediator had not accepted it yet', async () => {
      let accept = (): void => undefined;
      const acceptance = new Promise<void>((resolve) => (accept = resolve));
      let stopped = (): void => undefined;
      const stop = new Promise<void>((resolve) => (stopped = resolve));
      const execution = execute(
        planOf(['a']),
        async function* () {
          await acceptance;
          yield accepted();
          await stop;
          yield outcome(RunState.CANCELLED);
        },
        { cancel: async () => stopped() },
      );
      const events = await eventsOf(execution, ({ seq }) => {
        if (seq !== 1) return;
        setImmediate(() => {
          execution.cancel('enough');
          accept();
        });
      });
      assert.equal(lastState(events), ExecutionState.CANCELLED);
    });

    it('says what is true when every run had ended before', async () => {
      const execution = execute(planOf(['a']), succeed);
      await eventually(() => execution.state === ExecutionState.SUCCEEDED, { label: 'the end' });
      execution.cancel('too late');
      assert.equal(execution.state, ExecutionState.SUCCEEDED);
    });
  });
});

describe('the log of an execution', () => {
  it('has a line for every run that did not succeed, with the name and the fingerprint of its error', async () => {
    const { logger, lines } = recordingLogger();
    const script: Script = async function* (run) {
      if (run.node.name === 'good') yield* succeed();
      else throw new RuneError('MEDIATOR_UNAVAILABLE', 'It is gone.');
    };
    const execution = execute(planOf(['good', 'bad']), script, { logger });
    const failed = outcomes(await eventsOf(execution)).get('bad');
    assert.equal(lines.length, 1);
    const [line] = lines;
    assert.equal(line?.['level'], 'warn');
    assert.equal(line['node'], 'bad');
    assert.equal(line['execution_id'], execution.id);
    assert.match(String(line['run_id']), /^[0-9a-f-]{36}$/);
    assert.deepEqual([line['state'], line['error']], ['FAILED', 'MEDIATOR_UNAVAILABLE']);
    assert.equal(line['error_fingerprint'], failed?.error?.observability?.errorFingerprint);
    assert.equal(execution.counts.get(RunState.SUCCEEDED), 1);
    assert.equal(execution.counts.get(RunState.FAILED), 1);
  });
});
