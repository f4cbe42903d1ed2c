import assert from 'node:assert/strict';
import { MediateStart, ParameterInput } from '../../../services/shared/gen/rune/v1/lmm.js';
import { acceptHeader } from '../../../services/shared/messages/header.js';
import { BOLT } from '../../../services/lmm/plugin-protocols/bolt.js';
import { NAGIOS } from '../../../services/lmm/plugin-protocols/nagios.js';
import type {
  PluginAnswer,
  PluginProtocol,
  PluginRecord,
} from '../../../services/lmm/plugin-protocols/plugin-protocol.js';
import { RAW } from '../../../services/lmm/plugin-protocols/raw.js';

const header = acceptHeader(undefined, { identity: 'test', nowMs: Date.now() });

function decode(
  protocol: PluginProtocol,
  stdout: string | Buffer,
  exitCode = 0,
  more: Partial<PluginRecord> = {},
): PluginAnswer {
  const nothing = { stderr: Buffer.alloc(0), stderrTruncated: false, dryRunAsked: false };
  const answer = protocol.decode({ ...nothing, stdout: Buffer.from(stdout), end: { exitCode }, ...more });
  if (answer.output !== undefined) assert.deepEqual(JSON.parse(answer.output.json), answer.output.value);
  return answer;
}

const start = (fields: Parameters<typeof MediateStart.fromPartial>[0]): MediateStart =>
  MediateStart.fromPartial({ action: 'restart', ...fields });

describe('the protocol raw', () => {
  it('gives the program nothing but its arguments', () => {
    assert.equal(RAW.input(start({ paramsJson: Buffer.from('{"a":1}') }), header).length, 0);
    assert.deepEqual(RAW.environment(start({ paramsJson: Buffer.from('{"a":1}') })), {});
  });

  it('takes what it prints and exit code 0 for success', () => {
    const { output, error } = decode(RAW, 'a\nb\n', 0, { stderr: Buffer.from('warn\n') });
    assert.deepEqual(output?.value, { stdout: 'a\nb\n', stderr: 'warn\n', exit_code: 0 });
    assert.equal(error, undefined);
  });

  it('takes every other exit code for a failure, and keeps the result', () => {
    const { output, error } = decode(RAW, 'a', 4);
    assert.deepEqual(output?.value, { stdout: 'a', stderr: '', exit_code: 4 });
    assert.equal(error?.name, 'PLUGIN_FAILED');
    assert.equal(error.message, 'The program ended with exit code 4.');
  });

  it('keeps the result of a program that was killed, which has no exit code', () => {
    const { output, error } = decode(RAW, 'a', 0, { end: { signal: 'KILL' } });
    assert.deepEqual(output?.value, { stdout: 'a', stderr: '' });
    assert.equal(error?.name, 'PLUGIN_KILLED');
  });

  it('says that standard error was cut', () => {
    assert.equal(decode(RAW, '', 0, { stderrTruncated: true }).output?.value['stderr_truncated'], true);
  });

  it('takes any bytes', () => {
    assert.equal(
      decode(RAW, Buffer.from([0x61, 0xff, 0x00, 0x1b])).output?.value['stdout'],
      'a\ufffd\0\u001b',
    );
  });
});

describe('the protocol nagios', () => {
  for (const [exitCode, status] of ['OK', 'WARNING', 'CRITICAL'].entries()) {
    it(`takes exit code ${exitCode} for a check that found ${status}`, () => {
      const { output, error } = decode(NAGIOS, `DISK ${status}\n`, exitCode);
      assert.deepEqual(output?.value, {
        status,
        exit_code: exitCode,
        text: `DISK ${status}`,
        long_text: '',
        performance_data: [],
      });
      assert.equal(error, undefined);
    });
  }
  for (const exitCode of [3, 4, 127, 255]) {
    it(`takes exit code ${exitCode} for a check that failed, and keeps the result`, () => {
      const { output, error } = decode(NAGIOS, 'UNKNOWN: no such host', exitCode);
      assert.equal(output?.value['status'], 'UNKNOWN');
      assert.equal(error?.name, 'PLUGIN_FAILED');
      assert.equal(error.message, 'The check could not tell the status: UNKNOWN: no such host');
    });
  }

  it('tells text and figures apart, in the first line and below', () => {
    const printed =
      'DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB (69%);\n/home 69357 MB (27%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n';
    const { output } = decode(NAGIOS, printed);
    assert.equal(output?.value['text'], 'DISK OK - free space: / 3326 MB (56%);');
    assert.equal(output.value['long_text'], '/ 15272 MB (77%);\n/boot 68 MB (69%);\n/home 69357 MB (27%);');
    const figures = output.value['performance_data'] as { label: string; maximum: number }[];
    assert.deepEqual(
      figures.map(({ label, maximum }) => [label, maximum]),
      [
        ['/', 5968],
        ['/boot', 98],
        ['/home', 253_414],
      ],
    );
  });

  it('keeps as text what is no figure', () => {
    const { output } = decode(NAGIOS, 'up | see http://x y=1');
    assert.equal(output?.value['performance_data_unread'], 'see http://x');
    assert.deepEqual(output.value['performance_data'], [{ label: 'y', value: 1, unit: '' }]);
  });

  it('takes no answer at all for what its exit code says', () => {
    assert.equal(decode(NAGIOS, '').output?.value['text'], '');
    assert.equal(
      decode(NAGIOS, '', 3).error?.message,
      'The check could not tell the status: it printed nothing',
    );
  });

  it('never takes the figures of a check that was killed for a status', () => {
    const { output, error } = decode(NAGIOS, 'OK | a=1', 0, { end: { signal: 'TERM' } });
    assert.equal(output?.value['status'], 'UNKNOWN');
    assert.equal(error?.name, 'PLUGIN_KILLED');
  });
});

describe('the protocol bolt', () => {
  const params = { paramsJson: Buffer.from('{"name":"a b","count":1.50,"list":[1],"none":null}') };
  const input = (fields: Parameters<typeof start>[0]): string =>
    BOLT.input(start({ ...params, ...fields }), header).toString();

  it('gives the parameters as they came, with the name of the task', () => {
    assert.equal(input({}), '{"name":"a b","count":1.50,"list":[1],"none":null,"_task":"restart"}');
    assert.equal(input({ paramsJson: Buffer.from(' { } ') }), '{"_task":"restart"}');
    assert.equal(input({ paramsJson: Buffer.alloc(0) }), '{"_task":"restart"}');
  });

  it('asks for a dry run with _noop, whatever a parameter of that name says', () => {
    const dry = { context: { dryRun: true }, paramsJson: Buffer.from('{"_noop":false}') };
    assert.deepEqual(JSON.parse(input(dry)), { _noop: true, _task: 'restart' });
  });

  it('gives variables only where the task asks for them', () => {
    assert.deepEqual(BOLT.environment(start(params)), {});
    assert.deepEqual(
      BOLT.environment(start({ ...params, plugin: { parameterInput: ParameterInput.STDIN } })),
      {},
    );
    const plugin = { parameterInput: ParameterInput.ENVIRONMENT };
    assert.equal(input({ plugin }), '');
    assert.deepEqual(BOLT.environment(start({ ...params, plugin, context: { dryRun: true } })), {
      PT_name: 'a b',
      PT_count: '1.5',
      PT_list: '[1]',
      PT_none: 'null',
      PT__noop: 'true',
      PT__task: 'restart',
    });
    assert.notEqual(input({ plugin: { parameterInput: ParameterInput.BOTH } }), '');
  });

  for (const name of ['a b', 'a;id', '$(id)', 'a=b', '']) {
    it(`refuses a variable with the name ${JSON.stringify(name)}`, () => {
      const plugin = { parameterInput: ParameterInput.BOTH };
      const paramsJson = Buffer.from(JSON.stringify({ [name]: 'x' }));
      assert.throws(() => BOLT.environment(start({ paramsJson, plugin })), { name: 'FIELD_MALFORMED' });
    });
  }

  it('refuses more variables than an environment can carry', () => {
    const plugin = { parameterInput: ParameterInput.BOTH };
    const paramsJson = Buffer.from(JSON.stringify({ x: 'x'.repeat(65_536) }));
    assert.throws(() => BOLT.environment(start({ paramsJson, plugin })), { name: 'FIELD_MALFORMED' });
  });

  it('takes the JSON object that a task prints as it stands', () => {
    const { output, error } = decode(BOLT, ' {"a": 1.0}\n');
    assert.equal(output?.json, '{"a": 1.0}');
    assert.equal(error, undefined);
  });

  const texts: [title: string, stdout: string | Buffer, text: string][] = [
    ['text', 'done\n', 'done\n'],
    ['nothing', '', ''],
    ['a list', '[1]', '[1]'],
    ['null', 'null', 'null'],
    ['two objects', '{"a":1}\n{"b":2}', '{"a":1}\n{"b":2}'],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0xc3, 0x28]), 'a\ufffd('],
  ];
  for (const [title, stdout, text] of texts) {
    it(`takes ${title} for its _output`, () =>
      assert.deepEqual(decode(BOLT, stdout).output?.value, { _output: text }));
  }

  it('fails by _error, also with exit code 0, and carries its words', () => {
    const printed =
      '{"_error": {"kind": "mymodule/gone", "msg": "no such unit", "details": {"unit": 1.0}}, "tried": 2}';
    for (const exitCode of [0, 1]) {
      const { output, error } = decode(BOLT, printed, exitCode);
      assert.equal(error?.name, 'PLUGIN_FAILED');
      assert.equal(error.message, 'no such unit');
      assert.equal(error.facts.reason, 'mymodule/gone');
      assert.equal(error.facts.pluginDetailsJson, '{"unit": 1.0}');
      assert.equal(output?.value['tried'], 2);
    }
  });

  const odd: [error: unknown, message: string][] = [
    ['broken', 'broken'],
    [{}, 'The task reports an error and gives no message.'],
    [[], 'The task reports an error and gives no message.'],
    [{ msg: 5, kind: [], details: null }, 'The task reports an error and gives no message.'],
    [{ msg: 'x'.repeat(5000) }, 'x'.repeat(1000)],
  ];
  for (const [error, message] of odd) {
    it(`fails by _error ${JSON.stringify(error).slice(0, 40)}`, () => {
      assert.equal(decode(BOLT, JSON.stringify({ _error: error })).error?.message, message);
    });
  }

  it('fails by its exit code, and keeps the result', () => {
    const { output, error } = decode(BOLT, '{"a":1,"_error":null}', 2);
    assert.equal(error?.message, 'The task ended with exit code 2.');
    assert.equal(output?.value['a'], 1);
    assert.equal(decode(BOLT, 'x', 0, { end: { signal: 'KILL' } }).error?.name, 'PLUGIN_KILLED');
  });

  it('marks the result of a dry run', () => {
    assert.equal(decode(BOLT, '{}', 0, { dryRunAsked: true }).dryRun, true);
    assert.equal(decode(BOLT, 'would', 0, { dryRunAsked: true }).dryRun, true);
  });
});
