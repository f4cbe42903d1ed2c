import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { runCli } from '../../services/cli/cli.js';
import { RuneError } from '../../services/shared/errors.js';
import {
  CancelExecutionResponse,
  Execution,
  GetExecutionResponse,
  ListExecutionsResponse,
  RerunExecutionResponse,
  type RunResponse,
  SubmitExecutionResponse,
} from '../../services/shared/gen/rune/v1/lom.js';
import { ExecutionState, RunState } from '../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../support/eventually.js';
import { type LomScript, recorded, type ScriptedLom } from '../support/scripted-lom.js';
import { scriptedLoms } from '../support/scripted-loms.js';
import { createEvents, EXECUTION_ID } from './events.js';
import { createFakeIo, type FakeIo } from './fake-io.js';

const OTHER_ID = '0199aaaa-0000-7000-8000-000000000002';
const NOW_MS = Date.parse('2026-01-02T05:00:00Z');

function threeNodes(): RunResponse[] {
  const events = createEvents();
  return [
    events.accepted(3),
    events.running('web01'),
    events.log('web01', 'reading the journal'),
    events.succeeded('web01', { unit: 'nginx' }),
    events.outcome('web02', { state: RunState.LOST }),
    events.failed('web03', 'NODE_UNREACHABLE', 'web03 is down.'),
    events.final(ExecutionState.PARTIAL, { SUCCEEDED: 1, FAILED: 1, LOST: 1 }),
  ];
}

const execution = (fields: Parameters<typeof Execution.fromPartial>[0]) =>
  Execution.fromPartial({
    executionId: EXECUTION_ID,
    state: ExecutionState.RUNNING,
    action: 'tail-log',
    version: '1.2.0',
    triggeredBy: 'ops',
    createdAt: new Date('2026-01-02T04:58:00Z'),
    runs: 2,
    ...fields,
  });

describe('rune executions', () => {
  const lomOf = scriptedLoms();
  const start = (lom: ScriptedLom, args: readonly string[], io = fakeIo()) => ({
    io,
    ended: runCli(['executions', ...args, '--server', lom.address], io),
  });
  const executions = async (lom: ScriptedLom, ...args: string[]) => {
    const { io, ended } = start(lom, args);
    return { code: await ended, out: io.out(), err: io.err() };
  };
  const fakeIo = () => createFakeIo({ env: { XDG_CONFIG_HOME: '/nonexistent' }, nowMs: () => NOW_MS });
  /** Somebody at a terminal who types this. */
  const typing = (text: string): FakeIo => {
    const io = createFakeIo({ env: { XDG_CONFIG_HOME: '/nonexistent', TERM: 'dumb' }, terminal: true });
    return { ...io, stdin: Object.assign(PassThrough.from([text]), { isTTY: true }) };
  };

  describe('list', () => {
    const two = () => [
      execution({ executionId: OTHER_ID, counts: [{ state: RunState.RUNNING, count: 2 }] }),
      execution({
        state: ExecutionState.TIMED_OUT,
        endedAt: new Date('2026-01-02T04:58:42Z'),
        counts: [
          { state: RunState.SUCCEEDED, count: 1 },
          { state: RunState.TIMED_OUT, count: 1 },
        ],
      }),
    ];

    it('shows the newest first, one a line', async () => {
      const lom = await lomOf(() => ({
        listExecutions: async () => ListExecutionsResponse.fromPartial({ executions: two() }),
      }));
      const { code, out, err } = await executions(lom);
      assert.equal(code, 0);
      assert.equal(
        out,
        'EXECUTION                             ACCEPTED              TOOK   STATE      ACTION          RUNS                      BY\n' +
          `${OTHER_ID}  2026-01-02T04:58:00Z  2 min  running    tail-log 1.2.0  2 running                 ops\n` +
          `${EXECUTION_ID}  2026-01-02T04:58:00Z  42 s   timed_out  tail-log 1.2.0  1 succeeded, 1 timed out  ops\n`,
      );
      assert.equal(err, '');
    });

    it('asks for what the flags choose', async () => {
      const lom = await lomOf(() => ({
        listExecutions: async () => ListExecutionsResponse.fromPartial({}),
      }));
      const flags = '--action noop --node web01 --state failed,timed-out --by me --since 2h --until 30m';
      const { code, err } = await executions(lom, 'list', ...flags.split(' '), '--correlation-id', 'c');
      assert.equal(code, 0);
      assert.equal(err, 'no executions\n');
      const { header: _, ...request } = lom.lists[0]!;
      assert.deepEqual(request, {
        action: 'noop',
        node: 'web01',
        states: [ExecutionState.FAILED, ExecutionState.TIMED_OUT],
        triggeredBy: 'me',
        correlationId: 'c',
        since: new Date('2026-01-02T03:00:00Z'),
        until: new Date('2026-01-02T04:30:00Z'),
        pageSize: 101,
        pageToken: '',
      });
    });

    it('stops at the limit, over pages, and says that there are more', async () => {
      const lom = await lomOf(() => ({
        listExecutions: async ({ pageToken }) =>
          ListExecutionsResponse.fromPartial({
            executions: [execution({ executionId: `e${pageToken}` })],
            nextPageToken: `${pageToken}x`,
          }),
      }));
      const { out, err } = await executions(lom, 'list', '--limit', '3', '-o', 'json');
      const { executions: listed } = JSON.parse(out) as { executions: { executionId: string }[] };
      assert.deepEqual(
        listed.map(({ executionId }) => executionId),
        ['e', 'ex', 'exx'],
      );
      assert.match(err, /^there are more than 3: /);
      assert.equal(lom.lists.length, 4);
    });
  });

  describe('show', () => {
    it('tells who asked for what and what each run came to', async () => {
      const lom = await lomOf(() => ({
        getExecution: async (request, call) => {
          const answer = await recorded(threeNodes()).getExecution(request, call);
          const runs = answer.runs.map((run) => ({
            ...run,
            mediator: 'lmm:1',
            startedAt: new Date('2026-01-02T03:04:05Z'),
            endedAt: new Date('2026-01-02T03:04:07Z'),
          }));
          return GetExecutionResponse.fromPartial({
            ...answer,
            runs,
            execution: {
              ...answer.execution,
              reason: 'INC-1',
              endedAt: new Date('2026-01-02T03:04:15Z'),
              rerunOf: OTHER_ID,
              cancelAsked: true,
              cancelReason: 'wrong nodes',
              targets: { groups: ['web'] },
              params: { unit: 'nginx' },
            },
          });
        },
      }));
      const { code, out } = await executions(lom, 'show', EXECUTION_ID);
      assert.equal(code, 0);
      assert.equal(
        out,
        `tail-log 1.2.0 on 3 nodes, execution ${EXECUTION_ID}\n` +
          '  state:        partial\n' +
          '  runs:         1 succeeded, 1 failed, 1 LOST\n' +
          '  accepted:     2026-01-02T03:04:05Z\n' +
          '  took:         10 s\n' +
          '  asked for by: ops\n' +
          '  reason:       INC-1\n' +
          '  cancel asked: wrong nodes\n' +
          `  rerun of:     ${OTHER_ID}\n` +
          '  events:       7\n' +
          `  digest:       ${'ab'.repeat(32)}\n` +
          '  targets:\n    groups: web\n' +
          '  parameters:\n    unit: nginx\n' +
          'NODE   STATE      TOOK   ATTEMPT  MEDIATOR\n' +
          'web01  succeeded  2.0 s        1  lmm:1\n' +
          'web02  LOST       2.0 s        1  lmm:1\n' +
          'web03  failed     2.0 s        1  lmm:1\n',
      );
    });

    it('--outcomes adds answers and failures', async () => {
      const lom = await lomOf(() => recorded(threeNodes()));
      const { out } = await executions(lom, 'show', EXECUTION_ID, '--outcomes');
      assert.match(out, /^web01 {2}succeeded in 1\.2 s\n {2}unit: nginx\nweb02 {2}LOST/m);
      assert.match(
        out,
        /^web03 {2}failed after 3\.0 s {2}NODE_UNREACHABLE: web03 is down\.\n {2}what to do:\n {4}- Nothing ran/m,
      );
    });

    it('is one document for machines, over all pages, or one run a line', async () => {
      const events = createEvents();
      const nodes = Array.from({ length: 1001 }, (_, at) => `node${at}`);
      const script = [events.accepted(1001), ...nodes.map((node) => events.succeeded(node))];
      const lom = await lomOf(() => recorded([...script, events.final(ExecutionState.SUCCEEDED)]));
      const json = await executions(lom, 'show', EXECUTION_ID, '-o', 'json');
      const document = JSON.parse(json.out) as { execution: { state: string }; runs: { node: string }[] };
      assert.equal(document.execution.state, 'EXECUTION_STATE_SUCCEEDED');
      assert.deepEqual(
        document.runs.map(({ node }) => node),
        nodes,
      );
      const ndjson = await executions(lom, 'show', EXECUTION_ID, '-o', 'ndjson');
      const [first, second, ...rest] = ndjson.out.trimEnd().split('\n');
      assert.equal(JSON.parse(first ?? '').execution.executionId, EXECUTION_ID);
      assert.equal(JSON.parse(second ?? '').run.node, 'node0');
      assert.equal(rest.length, 1000);
    });
  });

  describe('watch', () => {
    it('shows what rune run would have shown, and ends with the same code', async () => {
      const lom = await lomOf(() => ({
        ...recorded(threeNodes()),
        async *run() {
          yield* threeNodes();
        },
      }));
      const watched = await executions(lom, 'watch', EXECUTION_ID);
      assert.equal(watched.code, 3);
      const io = fakeIo();
      const code = await runCli(['run', 'tail-log', '--node', 'web01', '--server', lom.address], io);
      assert.deepEqual([watched.code, watched.out, watched.err], [code, io.out(), io.err()]);
      assert.match(watched.err, /^web01 \| reading the journal$/m);
    });

    it('shows less where less is asked for, and still ends with the code of the whole', async () => {
      const lom = await lomOf(() => recorded(threeNodes()));
      const { code, err } = await executions(
        lom,
        'watch',
        EXECUTION_ID,
        '--from-seq',
        '2',
        '--node',
        'web01',
        '--no-log',
      );
      // Of the run that was lost only the counts tell.
      assert.equal(code, 3);
      assert.equal(
        err,
        `tail-log 1.2.0 on 3 nodes, execution ${EXECUTION_ID}\n` +
          'web01  succeeded in 1.2 s\n1 succeeded, 1 failed, 1 LOST in 0 s\n',
      );
      const [request] = lom.watches;
      assert.deepEqual([request?.fromSeq, request?.nodes, request?.withoutLog], [2, ['web01'], true]);
    });

    it('at Ctrl-C leaves the execution alone and says how to cancel it', async () => {
      const lom = await lomOf(() => ({
        ...recorded(threeNodes()),
        async *watchExecution(_request, { signal }) {
          yield* threeNodes().slice(0, 3);
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        },
      }));
      for (const format of ['pretty', 'json']) {
        const { io, ended } = start(lom, ['watch', EXECUTION_ID, '-o', format]);
        await eventually(() => (io.out() + io.err()).includes(EXECUTION_ID), { label: 'the first event' });
        io.first.abort();
        assert.equal(await ended, 3);
        assert.match(
          io.err(),
          new RegExp(
            `stopped watching; execution ${EXECUTION_ID} goes on. To cancel it: rune executions cancel ${EXECUTION_ID}$`,
            'm',
          ),
        );
        if (format === 'json') assert.equal(JSON.parse(io.out()).state, 'EXECUTION_STATE_UNSPECIFIED');
      }
      assert.equal(lom.cancels.length, 0);
    });

    it('from an event that there is not is refused with 4', async () => {
      const lom = await lomOf(() => recorded(threeNodes()));
      const { code, err } = await executions(lom, 'watch', EXECUTION_ID, '--from-seq', '8');
      assert.equal(code, 4);
      assert.match(err, /^rune: FIELD_OUT_OF_RANGE: --from-seq 8: it ended with event 7\./);
      assert.equal(lom.watches.length, 0);
    });

    it('of an execution that there is not ends with 4', async () => {
      const lom = await lomOf(() => ({
        async getExecution() {
          throw new RuneError('EXECUTION_NOT_FOUND', 'There is no execution x.');
        },
      }));
      const { code, err } = await executions(lom, 'watch', 'x');
      assert.equal(code, 4);
      assert.match(err, /^rune: EXECUTION_NOT_FOUND: There is no execution x\./);
    });
  });

  describe('cancel', () => {
    const cancelling: LomScript = () => ({
      async cancelExecution({ executionId }) {
        if (executionId === 'gone') throw new RuneError('EXECUTION_NOT_FOUND', 'There is no execution gone.');
        const state = executionId === OTHER_ID ? ExecutionState.SUCCEEDED : ExecutionState.CANCELLING;
        return CancelExecutionResponse.fromPartial({ state });
      },
      listExecutions: async () =>
        ListExecutionsResponse.fromPartial({
          executions: [execution({}), execution({ executionId: OTHER_ID })],
        }),
    });

    it('asks each to stop and reports each', async () => {
      const lom = await lomOf(cancelling);
      const { code, out } = await executions(lom, 'cancel', EXECUTION_ID, OTHER_ID, 'gone', '--reason', 'no');
      assert.equal(code, 4);
      assert.equal(
        out,
        `${EXECUTION_ID}  cancelling\n${OTHER_ID}  had ended already: succeeded\n` +
          'gone  EXECUTION_NOT_FOUND: There is no execution gone.\n',
      );
      assert.deepEqual(
        lom.cancels.map(({ reason }) => reason),
        ['no', 'no', 'no'],
      );
    });

    it('has a form for machines', async () => {
      const lom = await lomOf(cancelling);
      const { out } = await executions(lom, 'cancel', EXECUTION_ID, 'gone', '-o', 'json');
      const [first, second] = JSON.parse(out).executions;
      assert.deepEqual(first, { executionId: EXECUTION_ID, state: 'EXECUTION_STATE_CANCELLING' });
      assert.equal(second.error.errorData.name, 'EXECUTION_NOT_FOUND');
    });

    it('--all --yes asks every one that has not ended, of one action', async () => {
      const lom = await lomOf(cancelling);
      const { code } = await executions(lom, 'cancel', '--all', '--action', 'tail-log', '--yes');
      assert.equal(code, 0);
      assert.equal(lom.lists[0]?.action, 'tail-log');
      assert.deepEqual(lom.lists[0]?.states, [
        ExecutionState.PENDING_APPROVAL,
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
        ExecutionState.CANCELLING,
      ]);
      assert.deepEqual(
        lom.cancels.map(({ executionId }) => executionId),
        [EXECUTION_ID, OTHER_ID],
      );
    });

    it('--all where nobody can be asked shows what it would cancel, and ends with 2', async () => {
      const lom = await lomOf(cancelling);
      const { code, err } = await executions(lom, 'cancel', '--all');
      assert.equal(code, 2);
      assert.match(err, new RegExp(`^EXECUTION .*\n${EXECUTION_ID} .*\n${OTHER_ID} `));
      assert.match(err, /2 executions would be cancelled, add --yes/);
      assert.equal(lom.cancels.length, 0);
    });

    it('--all asks on a terminal, and cancels only after "yes"', async () => {
      const lom = await lomOf(cancelling);
      const refused = start(lom, ['cancel', '--all'], typing('y\n'));
      assert.equal(await refused.ended, 4);
      assert.match(refused.io.err(), /Type yes to cancel 2 executions: Nothing was cancelled\.\n$/);
      assert.equal(lom.cancels.length, 0);
      assert.equal(await start(lom, ['cancel', '--all'], typing('yes\n')).ended, 0);
      assert.equal(lom.cancels.length, 2);
    });

    it('--all where everything has ended says so', async () => {
      const lom = await lomOf(() => ({
        listExecutions: async () => ListExecutionsResponse.fromPartial({}),
      }));
      const { code, err } = await executions(lom, 'cancel', '--all');
      assert.equal(code, 0);
      assert.equal(err, 'every execution has ended\n');
    });
  });

  describe('rerun', () => {
    const rerunning =
      (risky = false): LomScript =>
      () => ({
        ...recorded(threeNodes()),
        async rerunExecution({ acknowledgeRisk }) {
          if (risky && !acknowledgeRisk)
            throw new RuneError('RISK_NOT_ACKNOWLEDGED', 'tail-log can destroy data.');
          return RerunExecutionResponse.fromPartial({ execution: execution({ runs: 3 }) });
        },
      });

    it('submits it again and shows what happens', async () => {
      const lom = await lomOf(rerunning());
      const { code, out, err } = await executions(lom, 'rerun', OTHER_ID, '--failed', '--reason', 'again');
      assert.equal(code, 3);
      assert.match(err, new RegExp(`^tail-log 1\\.2\\.0 on 3 nodes, execution ${EXECUTION_ID}\n`));
      assert.equal(out, 'web01:\n  unit: nginx\n');
      const { header: _, requestId, ...request } = lom.reruns[0]!;
      assert.deepEqual(request, {
        executionId: OTHER_ID,
        onlyFailed: true,
        reason: 'again',
        acknowledgeRisk: false,
        secretParams: undefined,
      });
      assert.match(requestId, /^[0-9a-f-]{36}$/);
      assert.equal(lom.watches[0]?.executionId, EXECUTION_ID);
    });

    it('--detach prints the id of the new one and does not wait', async () => {
      const lom = await lomOf(rerunning());
      const { code, out } = await executions(lom, 'rerun', OTHER_ID, '--detach', '--request-id', 'mine');
      assert.deepEqual([code, out], [0, `${EXECUTION_ID}\n`]);
      assert.equal(lom.reruns[0]?.requestId, 'mine');
      assert.equal(lom.watches.length, 0);
    });

    it('asks before what can destroy data, naming the nodes it will run on', async () => {
      const lom = await lomOf(rerunning(true));
      const unasked = await executions(lom, 'rerun', OTHER_ID);
      assert.equal(unasked.code, 4);
      const { io, ended } = start(lom, ['rerun', OTHER_ID, '--failed'], typing('yes\n'));
      assert.equal(await ended, 3);
      assert.match(
        io.err(),
        /tail-log 1\.2\.0 can destroy data\. It will run on 2 nodes: web02, web03\.\nType yes/,
      );
      assert.deepEqual(
        lom.reruns.map(({ acknowledgeRisk }) => acknowledgeRisk),
        [false, false, true],
      );
    });

    it('at Ctrl-C cancels what it submitted, as rune run does', async () => {
      const events = createEvents();
      const accepted = events.accepted(1);
      const lom = await lomOf((cancelled) => ({
        ...rerunning()(cancelled),
        async *watchExecution() {
          yield accepted;
          await cancelled;
          yield events.outcome('web01', { state: RunState.CANCELLED, cancelConfirmed: true });
          yield events.final(ExecutionState.CANCELLED, { CANCELLED: 1 });
        },
      }));
      const { io, ended } = start(lom, ['rerun', OTHER_ID]);
      await eventually(() => io.err().includes(EXECUTION_ID), { label: 'the execution' });
      io.first.abort();
      assert.equal(await ended, 130);
      assert.equal(lom.cancels[0]?.executionId, EXECUTION_ID);
    });
  });

  it('rune run --detach prints the id alone, or the answer for machines, and how to watch on stderr', async () => {
    const lom = await lomOf(() => ({
      submitExecution: async () => SubmitExecutionResponse.fromPartial({ execution: execution({}) }),
    }));
    const detach = async (...args: string[]) => {
      const io = fakeIo();
      const code = await runCli(
        ['run', 'tail-log', '--group', 'web', '--detach', '--server', lom.address, ...args],
        io,
      );
      return { code, out: io.out(), err: io.err() };
    };
    const pretty = await detach('--reason', 'INC-1', '--max-parallel', '3');
    assert.deepEqual(pretty, {
      code: 0,
      out: `${EXECUTION_ID}\n`,
      err: `to watch it: rune executions watch ${EXECUTION_ID}\n`,
    });
    const json = await detach('-o', 'json');
    assert.equal(JSON.parse(json.out).execution.executionId, EXECUTION_ID);
    const [first, second] = lom.submits;
    assert.deepEqual(first?.targets?.groups, ['web']);
    assert.equal(first?.reason, 'INC-1');
    assert.equal(first?.rollout?.maxParallel, 3);
    assert.notEqual(first?.requestId, second?.requestId);
  });
});
