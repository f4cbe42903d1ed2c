import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { ErrorData } from '../../services/shared/gen/rune/v1/eps.js';
import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { runAction } from '../support/run-action.js';
import { startWorld, type World } from '../support/world.js';

/** What a hostile caller would write, and what every program must get as it is. */
const WORDS = [
  'plain',
  '',
  ' two  words\t',
  `'single' "double" \`id\` $(id >&2) \${HOME} $HOME \\ \\n !! * ? ~ #`,
  'line\nline\r\n\n',
  '-n',
  '--',
  '; id & | > /dev/null <',
  '{values} {{x}} %s %d',
  'ünïcödé 😀 \u2028',
  '\u0001\u0007\u001b[2J\u007f\u001eRUNE {}',
];

interface Ended {
  readonly state: RunState | undefined;
  readonly output: Record<string, unknown>;
  readonly error: ErrorData | undefined;
  readonly exitCode: number | undefined;
  readonly dryRun: boolean | undefined;
  readonly log: string[];
}

describe('programs and scripts that know nothing of RUNE, through both services over a real sshd', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ plugins: [join(packageRoot, 'test', 'fixtures', 'foreign')] });
  });
  after(() => world.stop());

  async function run(action: string, params: Record<string, unknown> = {}, dryRun = false): Promise<Ended> {
    const ran = await runAction(world.client, { action, params, dryRun, targets: { nodes: ['user'] } });
    const outcome = ran.outcomes.get('user');
    return {
      state: outcome?.state,
      output: JSON.parse(outcome?.result?.outputJson.toString() ?? '{}') as Record<string, unknown>,
      error: outcome?.error?.errorData,
      exitCode: outcome?.exitCode,
      dryRun: outcome?.result?.dryRun,
      log: ran.log('user'),
    };
  }

  /** A check that did its work: its result, without figures, and the figures by label. */
  async function check(
    action: string,
    params?: Record<string, unknown>,
  ): Promise<{ status: unknown; text: string; figures: Record<string, Figure> }> {
    const { state, output, error } = await run(action, params);
    assert.equal(state, RunState.SUCCEEDED, JSON.stringify(error));
    const figures = output['performance_data'] as Figure[];
    return {
      status: output['status'],
      text: String(output['text']),
      figures: Object.fromEntries(figures.map((figure) => [figure.label, figure])),
    };
  }

  describe('monitoring plugins of Debian', () => {
    it('check_load tells the load with its thresholds', async () => {
      const { status, text, figures } = await check('check-load');
      assert.equal(status, 'OK');
      assert.match(text, /load average/);
      assert.deepEqual(Object.keys(figures), ['load1', 'load5', 'load15']);
      const { value, ...rest } = figures['load1'] ?? {};
      assert.ok(typeof value === 'number' && value >= 0);
      assert.deepEqual(rest, {
        label: 'load1',
        unit: '',
        warning: '500.000',
        critical: '1000.000',
        minimum: 0,
      });
    });

    it('check_disk tells the space of the file system that is asked for', async () => {
      const { status, figures } = await check('check-disk', { path: '/' });
      assert.equal(status, 'OK');
      assert.deepEqual(Object.keys(figures), ['/']);
      assert.equal(figures['/']?.unit, 'B');
      assert.ok((figures['/'].maximum ?? 0) > figures['/'].value);
    });

    it('check_procs finds the processes of the test', async () => {
      const { status, figures } = await check('check-procs', { command: 'sshd' });
      assert.equal(status, 'OK');
      assert.ok((figures['procs']?.value ?? 0) >= 1);
      assert.equal((await check('check-procs', { range: '1000000:' })).status, 'WARNING');
    });

    it('check_users counts users', async () => {
      const { status, figures } = await check('check-users');
      assert.equal(status, 'OK');
      assert.equal(figures['users']?.warning, '500');
    });

    it('check_tcp connects to an open port, and finds a closed one critical', async () => {
      const { status, figures } = await check('check-tcp', { port: world.sshd.port });
      assert.equal(status, 'OK');
      assert.equal(figures['time']?.unit, 's');
      assert.equal((await check('check-tcp', { port: 1 })).status, 'CRITICAL');
    });

    for (const [code, status] of ['OK', 'WARNING', 'CRITICAL'].entries()) {
      it(`check_dummy with exit code ${code} is a success that found ${status}`, async () => {
        const { output, ...ended } = await run('check-dummy', { state: code, text: `it's "${status}"` });
        assert.equal(ended.state, RunState.SUCCEEDED);
        assert.deepEqual(output, {
          status,
          exit_code: code,
          text: `${status}: it's "${status}"`,
          long_text: '',
          performance_data: [],
        });
      });
    }

    it('check_dummy with exit code 3 is a failure that keeps its result', async () => {
      const { state, output, error, exitCode } = await run('check-dummy', { state: 3, text: 'no idea' });
      assert.deepEqual([state, error?.name, exitCode], [RunState.FAILED, 'PLUGIN_FAILED', 3]);
      assert.equal(error?.message, 'The check could not tell the status: UNKNOWN: no idea');
      assert.equal(output['status'], 'UNKNOWN');
    });

    it('one that the node does not have runs nothing, and is named', async () => {
      const { state, error } = await run('check-missing');
      assert.equal(state, RunState.FAILED);
      assert.equal(error?.name, 'NODE_LACKS_REQUIREMENT');
      assert.match(error.message, /check_nothing_of_this_name/);
    });

    it('one that prints escape sequences and broken bytes ends as text and figures', async () => {
      const { state, output } = await run('check-escapes');
      assert.equal(state, RunState.SUCCEEDED);
      assert.deepEqual(output, {
        status: 'OK',
        exit_code: 0,
        text: 'OK \u001b]0;owned\u0007',
        long_text: '\u001eRUNE 1',
        performance_data: [
          { label: '\u001b[31mred', value: 1, unit: '' },
          { label: 'x', value: 3, unit: '' },
          { label: 'y', value: 5, unit: '' },
        ],
        performance_data_unread: "size=2\u001b[2J;;; 'last one'=4\ufffd",
      });
    });

    it('refuses a value that would be an option, before anything reaches the node', async () => {
      const request = {
        action: 'check-dummy',
        params: { state: 0, text: '--help' },
        targets: { nodes: ['user'] },
      };
      const refusal = { name: 'INVALID_PARAMS', message: /params\.text must not begin with "-"/ };
      await assert.rejects(runAction(world.client, request), refusal);
      await assert.rejects(world.client.planExecution(request), refusal);
    });
  });

  describe('a script or a program by its arguments', () => {
    for (const [action, how] of [
      ['print-words', 'a program of the node'],
      ['show-words', 'a script in Bash, without a file on the node'],
      ['show-words-sh', 'a script in sh, from a temporary directory'],
    ] as const) {
      it(`${how} gets every value as it is, and an empty stdin`, async () => {
        const { state, output, log } = await run(action, { values: WORDS });
        assert.equal(state, RunState.SUCCEEDED);
        const words = ['--', ...WORDS];
        assert.deepEqual(output, {
          stdout: words.map((word) => `[${word}]`).join(''),
          stderr: '',
          exit_code: 0,
        });
        assert.deepEqual(log, []);
      });
    }

    it('refuses a NUL character, which no argument can carry', async () => {
      const request = {
        action: 'show-words',
        params: { values: ['a', 'b\0'] },
        targets: { nodes: ['user'] },
      };
      await assert.rejects(runAction(world.client, request), {
        name: 'INVALID_PARAMS',
        message: /params\.values\[1\] holds a NUL character/,
      });
    });

    it('in Perl answers with stdout, stderr and exit code', async () => {
      const text = 'five words in one text';
      const { output, log } = await run('count-words', { text });
      assert.deepEqual(output, { stdout: '5\n', stderr: 'counting\n', exit_code: 0 });
      assert.deepEqual(log, ['counting']);
      const failed = await run('count-words', { text, fail: true });
      assert.deepEqual(
        [failed.state, failed.error?.name, failed.exitCode],
        [RunState.FAILED, 'PLUGIN_FAILED', 7],
      );
      assert.deepEqual(failed.output, { stdout: '5\n', stderr: 'counting\n', exit_code: 7 });
    });

    it('that prints much on standard error streams all of it, and keeps the start in its result', async () => {
      const { output, log } = await run('print-errors');
      assert.deepEqual(
        { ...output, stderr: String(output['stderr']).length },
        { stdout: 'a\ufffdb\n', stderr: 65_536, stderr_truncated: true, exit_code: 0 },
      );
      assert.equal(log.join('').length, 70_000);
    });
  });

  describe('a Puppet Bolt task', () => {
    it('in Bash takes its parameters as PT_ variables, every value as it is', async () => {
      for (const text of WORDS) {
        const { state, output } = await run('task-variables', { text, count: 3 });
        assert.equal(state, RunState.SUCCEEDED);
        assert.deepEqual(output, { _output: `${text}|[1,2]|3|null|task-variables|unset` });
      }
    });

    it('is told of a dry run by PT__noop', async () => {
      const { output, dryRun } = await run('task-variables', { text: 'x' }, true);
      assert.deepEqual([output, dryRun], [{ _output: 'x|[1,2]|unset|null|task-variables|true' }, true]);
    });

    it('refuses a variable with a NUL character, or more than variables can hold', async () => {
      const refused = async (text: string, message: RegExp): Promise<void> => {
        const request = { action: 'task-variables', params: { text }, targets: { nodes: ['user'] } };
        await assert.rejects(runAction(world.client, request), { name: 'INVALID_PARAMS', message });
      };
      await refused('a\0', /params\.text holds a NUL character/);
      await refused('x'.repeat(65_536), /params are more than 65536 bytes/);
    });

    it('in Python reads them as JSON, with nothing in its environment, a secret and a NUL among them', async () => {
      const params = { text: `${WORDS.join('|')}\0`, key: 'secret', fail: false };
      const { state, output } = await run('task-stdin', params, true);
      assert.equal(state, RunState.SUCCEEDED);
      assert.deepEqual(output, {
        _output: 'read',
        params: { ...params, key: '[redacted]', _noop: true, _task: 'task-stdin' },
        variables: [],
      });
    });

    it('fails by its _error, with message, kind and details', async () => {
      const { state, output, error } = await run('task-stdin', { fail: true });
      assert.equal(state, RunState.FAILED);
      assert.deepEqual(
        [error?.name, error?.message, error?.data?.reason],
        ['PLUGIN_FAILED', 'asked to fail', 'test/asked'],
      );
      assert.deepEqual(JSON.parse(error?.data?.pluginDetailsJson ?? ''), { exit: 3 });
      assert.equal(output['_output'], 'read');
    });

    it('that prints two objects, or bytes that are not UTF-8, answers with text', async () => {
      assert.deepEqual((await run('task-odd', { what: 'two' })).output, { _output: '{"a":1}\n{"b":2}' });
      assert.deepEqual((await run('task-odd', { what: 'bytes' })).output, { _output: 'a\ufffd\ufffd(' });
    });

    it('that prints more than a result may hold, also only once it is JSON, says so', async () => {
      for (const what of ['big', 'controls']) {
        const { state, error, exitCode } = await run('task-odd', { what });
        assert.deepEqual([state, error?.name, exitCode], [RunState.FAILED, 'RESULT_TOO_LARGE', 0]);
      }
    });

    it('that was killed is a failure, whatever it had printed', async () => {
      const { state, error } = await run('task-odd', { what: 'killed' });
      assert.deepEqual([state, error?.name], [RunState.FAILED, 'PLUGIN_KILLED']);
    });
  });
});

interface Figure {
  readonly label: string;
  readonly value: number;
  readonly unit: string;
  readonly warning?: string;
  readonly maximum?: number;
}
