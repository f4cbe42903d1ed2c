import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { collectParams, type ParamSources } from '../../services/cli/params/collect-params.js';
import { convertValue, isSecret } from '../../services/cli/params/convert-value.js';
import { parseAssignment } from '../../services/cli/params/parse-assignment.js';

const SCHEMA = {
  type: 'object',
  properties: {
    text: { type: 'string' },
    lines: { type: 'integer' },
    ratio: { type: 'number' },
    force: { type: 'boolean' },
    tags: { type: 'array' },
    options: { type: 'object' },
    maybe: { type: ['integer', 'null'] },
    either: { type: ['integer', 'string'] },
    level: { enum: [1, 2, 3] },
    mode: { enum: ['fast', 'slow'] },
    port: { $ref: '#/$defs/port' },
    circle: { $ref: '#/$defs/circle' },
    password: { type: 'string', writeOnly: true },
    pin: { $ref: '#/$defs/port', writeOnly: true },
  },
  $defs: { port: { type: 'integer' }, circle: { $ref: '#/$defs/circle' } },
};

describe('a parameter on the command line', () => {
  const parsed: [string, string, string, string][] = [
    ['lines=50', 'lines', 'text', '50'],
    ['note=a=b', 'note', 'text', 'a=b'],
    ['empty=', 'empty', 'text', ''],
    ['ids:=[1,2]', 'ids', 'json', '[1,2]'],
    ['key=@/run/secret', 'key', 'file', '/run/secret'],
    ['key=@-', 'key', 'file', '-'],
    ['key:="@literal"', 'key', 'json', '"@literal"'],
  ];
  for (const [text, key, kind, value] of parsed) {
    it(`${text} is ${kind}`, () => assert.deepEqual(parseAssignment(text), { key, kind, value }));
  }
  for (const text of ['', 'lines', '=5', ':=5']) {
    it(`"${text}" is refused, saying how to write it`, () => {
      assert.throws(() => parseAssignment(text), {
        name: 'COMMAND_INVALID',
        message: /^--param .*key=value/,
      });
    });
  }

  const converted: [string, string, unknown][] = [
    ['text', '50', '50'],
    ['lines', '50', 50],
    ['lines', '-3', -3],
    ['ratio', '0.5', 0.5],
    ['ratio', '1e3', 1000],
    ['force', 'true', true],
    ['force', 'false', false],
    ['tags', '["a"]', ['a']],
    ['options', '{"a":1}', { a: 1 }],
    ['maybe', 'null', null],
    ['maybe', '7', 7],
    ['either', '7', '7'],
    ['level', '2', 2],
    ['mode', 'fast', 'fast'],
    ['port', '22', 22],
    ['circle', 'x', 'x'],
    ['unknown', '5', '5'],
    ['toString', '5', '5'],
  ];
  for (const [key, text, value] of converted) {
    it(`${key}=${text} becomes ${JSON.stringify(value)} by the schema`, () => {
      assert.deepEqual(convertValue(SCHEMA, key, text, { action: 'tail-log', shown: text }), value);
    });
  }
  const refused: [string, string, string][] = [
    ['lines', 'many', 'an integer'],
    ['lines', '1.5', 'an integer'],
    ['lines', '99999999999999999999', 'an integer'],
    ['ratio', 'Infinity', 'a number'],
    ['force', 'yes', 'true or false'],
    ['tags', '{}', 'a JSON array'],
    ['options', '[', 'a JSON object'],
    ['maybe', 'x', 'an integer or null'],
  ];
  for (const [key, text, wanted] of refused) {
    it(`${key}=${text} is refused: wants ${wanted}`, () => {
      // What may hold a secret further down is not repeated.
      const shown = key === 'tags' || key === 'options' ? '' : `=${text}`;
      assert.throws(() => convertValue(SCHEMA, key, text, { action: 'tail-log', shown: text }), {
        name: 'COMMAND_INVALID',
        message: `--param ${key}${shown}: the action wants ${wanted}. See: rune actions show tail-log`,
      });
    });
  }

  it('is a secret where the schema says writeOnly', () => {
    assert.equal(isSecret(SCHEMA, 'password'), true);
    assert.equal(isSecret(SCHEMA, 'text'), false);
  });
});

describe('the parameters of a run', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rune-params-'));
  });
  after(() => rm(directory, { recursive: true }));

  const file = async (name: string, content: string | Buffer) => {
    const path = join(directory, name);
    await writeFile(path, content);
    return path;
  };
  const collect = (params: readonly string[], more: Partial<ParamSources> = {}) =>
    collectParams({
      assignments: params.map(parseAssignment),
      stdin: Readable.from([]),
      signal: new AbortController().signal,
      action: 'tail-log',
      inputSchema: () => Promise.resolve(SCHEMA),
      warn: () => Promise.resolve(),
      ...more,
    });

  it('come from the file, with --param over them', async () => {
    const paramsFile = await file('p.json', '{"lines": 5, "text": "file"}');
    assert.deepEqual(await collect(['text=flag'], { paramsFile }), { lines: 5, text: 'flag' });
  });

  it('may be YAML where the file is named so', async () => {
    const paramsFile = await file('p.yaml', 'lines: 5\ntags: [a, b]\n');
    assert.deepEqual(await collect([], { paramsFile }), { lines: 5, tags: ['a', 'b'] });
  });

  it('may come from stdin', async () => {
    const stdin = Readable.from([Buffer.from('{"lines":'), Buffer.from(' 5}')]);
    assert.deepEqual(await collect([], { paramsFile: '-', stdin }), { lines: 5 });
  });

  it('read a secret from a file, without its last newline', async () => {
    const path = await file('secret', 'pa$$ word\n');
    assert.deepEqual(await collect([`password=@${path}`]), { password: 'pa$$ word' });
  });

  it('do not ask the service for the schema where there is no --param', async () => {
    const inputSchema = () => Promise.reject(new Error('asked'));
    const paramsFile = await file('only.json', '{"lines": 5}');
    assert.deepEqual(await collect([], { inputSchema, paramsFile }), { lines: 5 });
  });

  it('are refused in the same way as text and as JSON', async () => {
    assert.deepEqual(await collect(['lines:=5', 'text:="a"', 'either:="b"', 'maybe:=null']), {
      lines: 5,
      text: 'a',
      either: 'b',
      maybe: null,
    });
    for (const written of ['lines:=1.5', 'lines=1.5']) {
      await assert.rejects(collect([written]), {
        name: 'COMMAND_INVALID',
        message: '--param lines=1.5: the action wants an integer. See: rune actions show tail-log',
      });
    }
  });

  it('are never repeated where they are secrets', async () => {
    await assert.rejects(collect(['pin=hunter2']), (error: Error) => !error.message.includes('hunter2'));
    const path = await file('pin', 'hunter2');
    await assert.rejects(collect([`lines=@${path}`]), (error: Error) => !error.message.includes('hunter2'));
  });

  it('that the action does not have are refused with the one that was meant', async () => {
    const inputSchema = () => Promise.resolve({ ...SCHEMA, additionalProperties: false });
    await assert.rejects(collect(['lnes=5'], { inputSchema }), {
      name: 'COMMAND_INVALID',
      message:
        '--param lnes: tail-log has no such parameter; did you mean "lines"? See: rune actions show tail-log',
    });
    assert.deepEqual(await collect(['lnes=5']), { lnes: '5' });
  });

  it('warn of a secret that stands on the command line, without repeating it', async () => {
    const warnings: string[] = [];
    const warn = (message: string) => Promise.resolve(void warnings.push(message));
    await collect(['password=hunter2'], { warn });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /password is a secret.*password=@FILE/);
    assert.doesNotMatch(warnings[0] ?? '', /hunter2/);
  });

  const faults: [string, () => Promise<unknown>, RegExp][] = [
    ['a parameter given twice', () => collect(['a=1', 'a=2']), /--param a is given twice/],
    ['stdin read twice', () => collect(['a=@-', 'b=@-']), /Standard input can be read for one/],
    [
      'a file that is not there',
      () => collect([], { paramsFile: '/nonexistent/p' }),
      /cannot read .*no such file/,
    ],
    ['a directory', () => collect([], { paramsFile: directory }), /it is a directory/],
    ['JSON that is none', async () => collect([], { paramsFile: await file('x', '{') }), /not valid JSON/],
    [
      'YAML that is none',
      async () => collect([], { paramsFile: await file('x.yml', 'a: [') }),
      /not valid YAML/,
    ],
    ['a list', async () => collect([], { paramsFile: await file('l', '[1]') }), /must hold one object/],
    [
      'bytes that are not UTF-8',
      async () => collect([], { paramsFile: await file('b', Buffer.from([0xff])) }),
      /not UTF-8/,
    ],
    [
      'a file that is too large',
      async () => collect([], { paramsFile: await file('big', Buffer.alloc(1024 * 1024 + 1)) }),
      /longer than 1048576 bytes/,
    ],
    ['JSON after := that is none', () => collect(['a:=hunter2']), /^--param a: not valid JSON\.$/],
  ];
  for (const [what, act, message] of faults) {
    it(`refuse ${what}`, () => assert.rejects(act, { name: 'COMMAND_INVALID', message }));
  }

  it('refuse a YAML file whose aliases explode', async () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefg'.split('').map((name, at) => {
        const before = 'abcdef'[at];
        return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`;
      }),
    ].join('\n');
    const paramsFile = await file('bomb.yaml', bomb);
    await assert.rejects(collect([], { paramsFile }), { name: 'COMMAND_INVALID', message: /not valid YAML/ });
  });
});
