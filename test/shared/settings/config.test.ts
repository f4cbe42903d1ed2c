import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSettings, settingsTable, unknownVariables } from '../../../services/shared/settings/config.js';
import { RuneError } from '../../../services/shared/errors.js';
import {
  addressSetting,
  bytesSetting,
  choiceSetting,
  durationSetting,
  flagSetting,
  integerSetting,
  listSetting,
  mapSetting,
  objectSetting,
  textSetting,
} from '../../../services/shared/settings/settings.js';

const SPEC = {
  listen: textSetting({ name: 'listen', default: '127.0.0.1:0', doc: 'Where.' }),
  certFile: textSetting({ name: 'tls.cert_file', doc: 'Certificate | PEM.' }),
  level: choiceSetting(['low', 'high'], { name: 'level', default: 'low', doc: 'Which.' }),
  runsMax: integerSetting({ name: 'runs_max', default: 4, min: 1, max: 64, doc: 'How many.' }),
  graceMs: durationSetting({
    name: 'limits.grace',
    default: '10s',
    min: '100ms',
    max: '1h',
    doc: 'How long.',
  }),
  outputBytesMax: bytesSetting({
    name: 'limits.output',
    default: '1MiB',
    min: '1KiB',
    max: '1GiB',
    doc: 'How much.',
  }),
  local: flagSetting({ name: 'local.enabled', default: false, doc: 'Whether.' }),
  plugins: listSetting({ name: 'plugins', default: [], doc: 'Which folders.' }),
  labels: mapSetting({ name: 'labels', default: {}, doc: 'Which labels.' }),
  point: objectSetting(
    { name: 'point', kind: 'map with x', default: { x: 0 }, doc: 'Anything.' },
    (raw, complain) => {
      const x: unknown = raw !== null && typeof raw === 'object' && 'x' in raw ? raw.x : undefined;
      if (typeof x === 'number') return { x };
      complain('must be a number', ['x']);
      return undefined;
    },
  ),
  password: textSetting({ name: 'password', secret: true, doc: 'Never shown.' }),
} as const;

describe('settings', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'rune-config-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  function read(
    yaml: string | undefined,
    env: Record<string, string> = {},
  ): ReturnType<typeof readSettings<typeof SPEC>> {
    if (yaml === undefined) return readSettings(SPEC, { prefix: 'T', env });
    const file = join(folder, 't.yaml');
    writeFileSync(file, yaml);
    return readSettings(SPEC, { prefix: 'T', env, file });
  }

  function faults(yaml: string | undefined, env: Record<string, string> = {}): string[] {
    try {
      read(yaml, env);
    } catch (thrown) {
      assert.ok(thrown instanceof RuneError);
      assert.equal(thrown.name, 'CONFIGURATION_INVALID');
      const list = (thrown.facts.validationErrors ?? []).map(
        ({ field, description }) => `${field}: ${description}`,
      );
      for (const fault of list)
        assert.ok(thrown.message.replaceAll(`${folder}/`, '').includes(fault.replace(`${folder}/`, '')));
      return list.map((fault) => fault.replace(`${folder}/`, ''));
    }
    return [];
  }

  it('have their defaults where nothing is set', () => {
    const defaults = {
      listen: '127.0.0.1:0',
      certFile: undefined,
      level: 'low',
      runsMax: 4,
      graceMs: 10_000,
      outputBytesMax: 1_048_576,
      local: false,
      plugins: [],
      labels: {},
      point: { x: 0 },
      password: undefined,
    };
    assert.deepEqual(read(undefined), defaults);
    assert.deepEqual(read(''), defaults);
    assert.deepEqual(read('# only a comment\n'), defaults);
    assert.deepEqual(read('tls:\nlisten:\n', { T_LEVEL: '' }), defaults);
  });

  it('come from the file', () => {
    const yaml = [
      'listen: 127.0.0.1:1',
      'tls: { cert_file: /x }',
      'level: high',
      'runs_max: 7',
      'limits:',
      '  grace: 500ms',
      '  output: 2 KiB',
      'local: { enabled: true }',
      'plugins: [a, "b,c"]',
      'labels: { zone: north, rack: "7" }',
      'point: { x: 3 }',
      'password: hunter2',
    ].join('\n');
    assert.deepEqual(read(yaml), {
      listen: '127.0.0.1:1',
      certFile: '/x',
      level: 'high',
      runsMax: 7,
      graceMs: 500,
      outputBytesMax: 2_048,
      local: true,
      plugins: ['a', 'b,c'],
      labels: { zone: 'north', rack: '7' },
      point: { x: 3 },
      password: 'hunter2',
    });
  });

  it('come from variables, which win over the file', () => {
    const settings = read('runs_max: 7\nlevel: high\n', {
      T_RUNS_MAX: '9',
      T_TLS_CERT_FILE: '/y',
      T_LIMITS_GRACE: '2m',
      T_LIMITS_OUTPUT: '64KiB',
      T_LOCAL_ENABLED: 'true',
      T_PLUGINS: 'a, b',
      T_LABELS: 'zone=north, note=a=b',
      T_POINT: '{"x": 5}',
      T_OTHER: 'is nobody’s',
    });
    assert.deepEqual(
      [
        settings.runsMax,
        settings.level,
        settings.certFile,
        settings.graceMs,
        settings.outputBytesMax,
        settings.local,
      ],
      [9, 'high', '/y', 120_000, 65_536, true],
    );
    assert.deepEqual(
      [settings.plugins, settings.labels, settings.point],
      [['a', 'b'], { zone: 'north', note: 'a=b' }, { x: 5 }],
    );
  });

  it('are wrong all at once, each with its file and line or its variable', () => {
    const yaml = [
      'listen: 5',
      'tls: yes please',
      'level: medium',
      'runs_max: 65',
      'limits:',
      '  grace: 2h',
      '  output: 5',
      '  other: 1',
      'plugins: [a, 5]',
      'labels: { zone: 5 }',
      'point: { y: 1 }',
      'typo: 1',
    ].join('\n');
    assert.deepEqual(faults(yaml, { T_LOCAL_ENABLED: 'yes' }).toSorted(), [
      'T_LOCAL_ENABLED: local.enabled must be true or false',
      't.yaml:10: labels.zone must be a text',
      't.yaml:11: point.x must be a number',
      't.yaml:12: typo is not a setting',
      't.yaml:1: listen must be a text that is not empty (in quotes if it looks like a number)',
      't.yaml:2: tls must be a map',
      't.yaml:3: level must be one of low, high',
      't.yaml:4: runs_max must be a whole number from 1 to 64',
      't.yaml:6: limits.grace must be from 100ms to 1h',
      't.yaml:7: limits.output must be written with its unit, such as 512B, 64KiB or 1MiB',
      't.yaml:8: limits.other is not a setting',
      't.yaml:9: plugins.1 must be a text that is not empty',
    ]);
  });

  for (const [text, where] of [
    ['runs_max: 1\nruns_max: 2\n', /^t\.yaml:2: .*unique/],
    ['runs_max: [1\n', /^t\.yaml:\d: /],
    ['- a list\n', /^t\.yaml:1: the configuration file must be a map/],
    ['just text', /^t\.yaml:1: the configuration file must be a map/],
  ] as const) {
    it(`a file with ${JSON.stringify(text)} is refused with its line`, () => {
      assert.match(faults(text)[0] ?? 'no fault', where);
    });
  }

  for (const [env, fault] of [
    [{ T_RUNS_MAX: '1e1' }, 'T_RUNS_MAX: runs_max must be a whole number from 1 to 64'],
    [{ T_RUNS_MAX: ' 5' }, 'T_RUNS_MAX: runs_max must be a whole number from 1 to 64'],
    [
      { T_LIMITS_GRACE: '10' },
      'T_LIMITS_GRACE: limits.grace must be written with its unit, such as 500ms, 10s or 5m',
    ],
    [
      { T_LIMITS_GRACE: '-5s' },
      'T_LIMITS_GRACE: limits.grace must be written with its unit, such as 500ms, 10s or 5m',
    ],
    [
      { T_LIMITS_GRACE: '5 parsecs' },
      'T_LIMITS_GRACE: limits.grace must be written with its unit, such as 500ms, 10s or 5m',
    ],
    [{ T_LABELS: 'north' }, 'T_LABELS: labels must be a text'],
    [{ T_POINT: '{x' }, 'T_POINT: point must be written as JSON in a variable'],
  ] as const) {
    it(`the variable ${JSON.stringify(env)} is refused`, () => {
      assert.deepEqual(faults(undefined, env), [fault]);
    });
  }

  it('a file that cannot be read is named', () => {
    const file = join(folder, 'none.yaml');
    assert.throws(() => readSettings(SPEC, { prefix: 'T', env: {}, file }), {
      name: 'CONFIGURATION_INVALID',
      message: `The configuration has a fault: ${file}: the configuration file cannot be read (ENOENT).`,
    });
  });

  it('a file that expands without end is refused', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((key, index) => {
        const below = 'abcdefg'[index];
        return `${key}: &${key} [${Array.from({ length: 10 }, () => `*${below}`).join(',')}]`;
      }),
      'plugins: *h',
    ].join('\n');
    assert.ok(faults(bomb).length > 0);
  });

  it('never show the value of a secret', () => {
    const list = faults('password: [hunter2]\n').join();
    assert.match(list, /password must be a text/);
    assert.doesNotMatch(list, /hunter2/);
  });

  it('that are required are asked for by name', () => {
    const spec = { zone: textSetting({ name: 'zone', required: true, doc: 'Which zone.' }) };
    assert.throws(() => readSettings(spec, { prefix: 'T', env: {} }), {
      message: /T_ZONE: zone must be set/,
    });
    const settings: { readonly zone: string } = readSettings(spec, { prefix: 'T', env: { T_ZONE: 'north' } });
    assert.equal(settings.zone, 'north');
  });

  it('with a default that is wrong are a fault of the program', () => {
    assert.throws(
      () => integerSetting({ name: 'n', default: 9, min: 1, max: 5, doc: '' }),
      /default of the setting n/,
    );
  });

  it('print as a table for the documentation', () => {
    const lines = settingsTable(SPEC, 'T').split('\n');
    assert.equal(lines[0], '| key | variable | value | default | meaning |');
    assert.ok(lines.includes('| `tls.cert_file` | `T_TLS_CERT_FILE` | text |  | Certificate \\| PEM. |'));
    assert.ok(
      lines.includes('| `limits.grace` | `T_LIMITS_GRACE` | duration, 100ms to 1h | `10s` | How long. |'),
    );
  });
});

describe('a variable with the prefix of the service', () => {
  it('that sets nothing is told with the name that was meant, unless Kubernetes has made it', () => {
    const env = {
      RUNE_RUNS_MAXX: '5',
      RUNE_RUNS_MAX: '5',
      RUNE_PORT: 'tcp://10.0.0.1:50051',
      RUNE_SERVICE_HOST: '10.0.0.1',
      RUNE_PORT_50051_TCP: 'x',
      RUNE_SERVICE_PORT_GRPC: '50051',
      OTHER_THING: '1',
    };
    assert.deepEqual(unknownVariables(SPEC, { prefix: 'RUNE', env }), [
      'the variable RUNE_RUNS_MAXX is not a setting; did you mean "RUNE_RUNS_MAX"?',
    ]);
  });
});

describe('an address to listen on', () => {
  const spec = { listen: addressSetting({ name: 'listen', default: '127.0.0.1:0', doc: 'Where.' }) };
  const read = (listen: string): unknown =>
    readSettings(spec, { prefix: 'X', env: { X_LISTEN: listen } }).listen;

  it('may be host:port, with an IPv6 address in brackets, or a Unix socket', () => {
    for (const good of ['localhost:1', '[::1]:50051', 'unix:/run/rune']) assert.equal(read(good), good);
  });

  it('is a fault of the settings when it is anything else', () => {
    for (const bad of ['foo', ':50051', 'a:70000', 'unix:run'])
      assert.throws(() => read(bad), {
        name: 'CONFIGURATION_INVALID',
        message: /X_LISTEN: listen must be host:port/,
      });
  });
});
