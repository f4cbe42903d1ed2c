import assert from 'node:assert/strict';
import { runWithLibrary } from '../support/bash.js';
import { bpcsAnswer, bpcsInput } from './bpcs-document.js';

/** What a script must answer: output_data of a success, or the error; and the exit code. */
interface Expected {
  readonly result?: string;
  readonly output?: object;
  readonly error?: object;
  readonly exitCode: number;
}

async function check(script: string, expected: Expected, input = bpcsInput()): Promise<void> {
  const ending = await runWithLibrary(`set -euo pipefail; rune_init; ${script}`, { input });
  const answer = bpcsAnswer(ending);
  const result = expected.output === undefined ? undefined : (expected.result ?? 'success');
  assert.deepEqual(
    {
      result: answer.payload?.result,
      output: answer.payload?.output_data,
      error: answer.error ?? undefined,
      exitCode: ending.exitCode,
    },
    { result, output: expected.output, error: expected.error, exitCode: expected.exitCode },
    ending.stderr,
  );
}

describe('the shell library answers success with', () => {
  const table: Readonly<Record<string, Expected['output']>> = {
    'rune_ok "all done"': { message: 'all done' },
    'rune_ok "all done" \'{"n":1}\'': { message: 'all done', n: 1 },
    'rune_ok "all done" \' { } \'': { message: 'all done' },
    'rune_ok "not this" \'{"n":1,"message":"this"}\'': { n: 1, message: 'this' },
    'rune_ok "" \'{"n":1}\'': { n: 1 },
    rune_ok: {},
    'rune_ok_kv done a=1 b:=1 "c=x = y" d:=[true,null]': {
      message: 'done',
      a: '1',
      b: 1,
      c: 'x = y',
      d: [true, null],
    },
    'rune_ok_kv done a=1 message=own a=2': { message: 'own', a: '2' },
    'rune_out a=1; rune_out b two; rune_out n:=3; rune_finish': {
      message: 'success',
      a: '1',
      b: 'two',
      n: 3,
    },
    'rune_out a=1; rune_finish "all done"': { message: 'all done', a: '1' },
    'rune_finish ""': {},
    'rune_json_object o a=1 b:=2.50; rune_json_array l =x ":=$o" :=null; rune_ok_kv "" l:="$l"': {
      l: ['x', { a: '1', b: 2.5 }, null],
    },
    'rune_json_array l; rune_json_object o; rune_ok_kv "" l:="$l" o:="$o"': { l: [], o: {} },
    'rune_json_string s "a \\"b\\""; rune_ok "" "{\\"s\\":$s}"': { s: 'a "b"' },
    'rune_ok_kv "" "a\\"b=1" __proto__x=1 =empty': { 'a"b': '1', __proto__x: '1', '': 'empty' },
  };
  for (const [script, output] of Object.entries(table)) {
    it(script, () => check(script, { output: output ?? {}, exitCode: 0 }));
  }

  it('rune_emit and a document of its own', async () => {
    const document = { payload: { result: 'success', output_data: { é: '"' } }, error: null };
    const script = `rune_init; rune_emit '${JSON.stringify(document, undefined, 1)}'`;
    const ending = await runWithLibrary(script, { input: bpcsInput() });
    assert.deepEqual(JSON.parse(ending.stdout.toString()), document);
    assert.equal(ending.exitCode, 0);
  });
});

describe('the shell library answers failure with', () => {
  const error = (code: number, message: string, details: object = {}): object => ({ code, message, details });
  const table: Readonly<Record<string, [error: object, exitCode: number]>> = {
    'rune_error 1 "bad name"': [error(1, 'bad name'), 1],
    'rune_error 2 "no docker" \'{"missing":"docker"}\'': [error(2, 'no docker', { missing: 'docker' }), 2],
    'rune_fail 3 "it failed"': [error(3, 'it failed'), 3],
    'rune_error 4 "bad file"': [error(4, 'bad file'), 4],
    'rune_error 255 x': [error(255, 'x'), 255],
    'rune_error 2001 "a code that fits no byte"': [error(2001, 'a code that fits no byte'), 3],
    'rune_error 0 "no success"': [error(100, 'no success'), 100],
    'rune_error oops "no number"': [error(100, 'no number'), 100],
    'rune_error 08 "octal"': [error(8, 'octal'), 8],
    rune_error: [error(100, ''), 100],
    "rune_error 3 kept 'not json'": [error(3, 'kept', { unreadable_details: 'not json' }), 3],
    "rune_error 3 kept '[1]'": [error(3, 'kept', { unreadable_details: '[1]' }), 3],
    'rune_error_kv 3 "it failed" unit=nginx tries:=2': [
      error(3, 'it failed', { unit: 'nginx', tries: 2 }),
      3,
    ],
    'rune_fail_kv 3 "it failed"': [error(3, 'it failed'), 3],
    'rune_out unit=nginx; rune_err 3 it failed; rune_finish done': [
      error(3, 'it failed', { unit: 'nginx' }),
      3,
    ],
    'rune_err 2; rune_finish': [error(2, 'error'), 2],
    "rune_ok done 'not json'": [
      error(100, 'Plugin fault: the output is not a JSON object', { message: 'done', output: 'not json' }),
      100,
    ],
    "rune_ok done '[1]'": [
      error(100, 'Plugin fault: the output is not a JSON object', { message: 'done', output: '[1]' }),
      100,
    ],
    'rune_ok_kv done n:=x': [error(100, 'Plugin fault: the value of "n" is not JSON'), 100],
    'rune_out nothing; rune_finish': [
      error(100, 'Plugin fault: "nothing" is neither KEY=TEXT nor KEY:=JSON'),
      100,
    ],
    "rune_emit '{'": [error(100, 'Plugin fault: rune_emit was given no JSON object', { output: '{' }), 100],
  };
  for (const [script, [expected, exitCode]] of Object.entries(table)) {
    it(script, () => check(script, { error: expected, exitCode }));
  }

  const codes: Readonly<Record<string, [code: string, exitCode: number]>> = {
    "rune_emit's error.code": ['3', 3],
    'a code that fits no byte': ['1001', 3],
    'an error without a usable code': ['"x"', 100],
  };
  for (const [what, [code, exitCode]] of Object.entries(codes)) {
    it(`the exit code of ${what}`, async () => {
      const script = `rune_init; rune_emit '{"payload":null,"error":{"code":${code},"message":"m"}}'`;
      assert.equal((await runWithLibrary(script, { input: bpcsInput() })).exitCode, exitCode);
    });
  }

  it('the exit code given to rune_emit', async () => {
    const ending = await runWithLibrary(`rune_init; rune_emit '{"error":{"code":3}}' 4`, {
      input: bpcsInput(),
    });
    assert.equal(ending.exitCode, 4);
  });
});

describe('in a dry run', () => {
  const input = bpcsInput({}, { dry_run: true });

  it('a plugin that asked answers dry_run', () =>
    check(
      'if rune_dry_run; then rune_ok "would restart"; fi; rune_ok restarted',
      { result: 'dry_run', output: { message: 'would restart' }, exitCode: 0 },
      input,
    ));

  it('a plugin that only reads says so once and answers dry_run', () =>
    check(
      'rune_read_only; rune_out a=1; rune_finish ""',
      { result: 'dry_run', output: { a: '1' }, exitCode: 0 },
      input,
    ));

  it('a plugin that never asked does not claim that it was one', () =>
    check('rune_ok done', { result: 'success', output: { message: 'done' }, exitCode: 0 }, input));

  it('a failure stays a failure', () =>
    check(
      'rune_read_only; rune_error 3 no',
      { error: { code: 3, message: 'no', details: {} }, exitCode: 3 },
      input,
    ));

  it('is not what a run without dry_run is', () =>
    check('rune_read_only; if rune_dry_run; then exit 9; fi; rune_ok done', {
      output: { message: 'done' },
      exitCode: 0,
    }));
});

describe('a plugin that ends without an answer', () => {
  const table: Readonly<Record<string, [script: string, status: number]>> = {
    'because a command failed': ['set -e; sh -c "exit 7"; echo not reached', 7],
    'because a test failed': ['set -e; [[ a == b ]]', 1],
    'because it left': ['exit 0', 0],
    'because its text ended': ['true', 0],
  };
  for (const [why, [script, status]] of Object.entries(table)) {
    it(`${why} answers code 100 with the status`, async () => {
      const ending = await runWithLibrary(`rune_init; ${script}`, { input: bpcsInput() });
      const answer = bpcsAnswer(ending);
      assert.equal(ending.exitCode, 100);
      assert.equal(answer.payload, null);
      assert.deepEqual(answer.error, {
        code: 100,
        message: 'The plugin ended without an answer',
        details: { exit_status: status },
      });
    });
  }

  it('because a variable is not set answers code 100', async () => {
    const ending = await runWithLibrary('set -u; rune_init; echo "$no_such_variable"', {
      input: bpcsInput(),
    });
    assert.equal(bpcsAnswer(ending).error?.code, 100);
    assert.equal(ending.exitCode, 100);
    assert.match(ending.stderr, /no_such_variable: unbound variable/);
  });

  it('answers and cleans up once, though children end by a signal before they are programs of their own', async () => {
    const children =
      'for i in {1..40}; do sleep 10 & kill $!; done; for i in {1..40}; do (:; sleep 10) & kill $!; done';
    const script = `rune_on_exit 'echo cleaned >&2'; ${children}; wait || :; rune_ok done`;
    const ending = await runWithLibrary(`set -euo pipefail; rune_init; ${script}`, { input: bpcsInput() });
    const answers = ending.stdout.toString().trim().split('\n');
    assert.equal(answers.length, 1, answers.join('\n'));
    assert.equal(bpcsAnswer(ending).payload?.result, 'success');
    assert.equal(ending.stderr.match(/cleaned/g)?.length, 1);
  });

  it('runs what rune_on_exit was given, after the answer and whatever the answer was', async () => {
    const cleanup = `rune_on_exit 'echo "cleaned $x" >&2'; rune_on_exit false; rune_on_exit 'echo last >&2'; x=up`;
    for (const [script, exitCode] of [
      ['rune_ok done', 0],
      ['rune_error 3 no', 3],
      ['false', 100],
    ] as const) {
      const ending = await runWithLibrary(`set -eu; rune_init; ${cleanup}; ${script}`, {
        input: bpcsInput(),
      });
      bpcsAnswer(ending);
      assert.deepEqual([ending.exitCode, ending.stderr], [exitCode, 'cleaned up\nlast\n'], script);
    }
  });
});

describe('the shell library writes to stderr', () => {
  const eventsOf = async (script: string): Promise<unknown[]> => {
    const ending = await runWithLibrary(`set -eu; rune_init; ${script}; rune_ok done`, {
      input: bpcsInput(),
    });
    assert.equal(ending.exitCode, 0);
    return ending.stderr
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        assert.equal(line.slice(0, 6), '\x1eRUNE ');
        return JSON.parse(line.slice(6)) as unknown;
      });
  };

  it('log lines of four levels', async () => {
    const log = (level: string, message: string): object => ({ type: 'log', level, message });
    assert.deepEqual(
      await eventsOf(
        'for l in debug info warn error warning loud; do rune_log "$l" "is $l"; done; rune_log info $\'a\\n"b"\\e\'; rune_log',
      ),
      [
        log('debug', 'is debug'),
        log('info', 'is info'),
        log('warn', 'is warn'),
        log('error', 'is error'),
        log('warn', 'is warning'),
        log('info', 'is loud'),
        log('info', 'a\n"b"\u001b'),
        log('info', ''),
      ],
    );
  });

  it('at most 16384 bytes of a message', async () => {
    const [event] = await eventsOf(`printf -v long '%20000s' ''; rune_log info "$long"`);
    assert.equal((event as { message: string }).message.length, 16_384);
  });

  it('progress between 0 and 100, with its decimals', async () => {
    const percents: Readonly<Record<string, number>> = {
      '0': 0,
      '40': 40,
      '40.5': 40.5,
      '.5': 0.5,
      '7.': 7,
      '007': 7,
      '00': 0,
      '-3': 0,
      '-0.5': 0,
      '99.99': 99.99,
      '100': 100,
      '100.5': 100,
      '1000': 100,
      '99999999999999999999': 100,
    };
    const given = Object.keys(percents);
    assert.deepEqual(
      await eventsOf(given.map((percent) => `rune_progress ${percent} 'at ${percent}'`).join('; ')),
      given.map((percent) => ({ type: 'progress', percent: percents[percent], message: `at ${percent}` })),
    );
  });

  it('a warning in place of progress that is no number', async () => {
    assert.deepEqual(await eventsOf('rune_progress half way; rune_progress'), [
      { type: 'log', level: 'warn', message: 'rune_progress: "half" is not a number: way' },
      { type: 'log', level: 'warn', message: 'rune_progress: "" is not a number: ' },
    ]);
  });
});
