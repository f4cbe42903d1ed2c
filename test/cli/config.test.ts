import assert from 'node:assert/strict';
import { configPath } from '../../services/cli/config/load-config.js';
import { parseConfig } from '../../services/cli/config/parse-config.js';
import { parseDuration } from '../../services/cli/config/parse-duration.js';
import { parseTime, timeOf } from '../../services/cli/config/parse-time.js';
import { resolveConnection } from '../../services/cli/config/resolve-connection.js';
import type { RuneError } from '../../services/shared/errors.js';

const FILE = `
current_context: home
contexts:
  home:
    server: 127.0.0.1:6000
  prod:
    server: lom.example:50051
    tls: { ca_file: ca.pem, cert_file: me.pem, key_file: me.key, server_name: lom }
    defaults:
      output: json
      timeout: 1m30s
      reason: on call
      transport: ssh
      max_parallel: 20
  bare: {}
`;

describe('the configuration file', () => {
  it('holds contexts with server, certificates and defaults', () => {
    const config = parseConfig(FILE, 'config.yaml');
    assert.equal(config.currentContext, 'home');
    assert.deepEqual(config.contexts.get('prod'), {
      server: 'lom.example:50051',
      tls: { caFile: 'ca.pem', certFile: 'me.pem', keyFile: 'me.key', serverName: 'lom' },
      defaults: { output: 'json', timeoutMs: 90_000, reason: 'on call', transport: 'ssh', maxParallel: 20 },
    });
  });

  it('may be empty', () => {
    assert.equal(parseConfig('', 'config.yaml').contexts.size, 0);
    assert.equal(parseConfig('# nothing yet\n', 'config.yaml').contexts.size, 0);
  });

  it('tells all its faults at once, each with its line', () => {
    const faulty = [
      'current_context: nowhere',
      'contexts:',
      '  one:',
      '    server: no-port',
      '    colour: red',
      '    tls: { ca_file: a.pem, cert_file: c.pem }',
      '    defaults:',
      '      output: xml',
      '      timeout: soon',
      '      max_parallel: 0',
      '  two: [1]',
      'color: red',
    ].join('\n');
    assert.throws(
      () => parseConfig(faulty, '/home/me/config.yaml'),
      (error: RuneError) => {
        assert.equal(error.name, 'COMMAND_INVALID');
        assert.equal(error.message, '/home/me/config.yaml: 9 faults.');
        assert.deepEqual(
          (error.facts.validationErrors ?? []).map(({ field, description }) => `${field}: ${description}`),
          [
            'line 1: current_context names no context: nowhere',
            'line 4: contexts.one.server must be host:port',
            'line 5: contexts.one.colour is not known here; known: server, tls, defaults',
            'line 6: contexts.one.tls needs cert_file and key_file together',
            'line 8: contexts.one.defaults.output must be one of pretty, json, ndjson',
            'line 9: contexts.one.defaults.timeout must be a duration such as 30s or 5m',
            'line 10: contexts.one.defaults.max_parallel must be a whole number above zero',
            'line 11: contexts.two must be a mapping',
            'line 12: color is not known here; known: current_context, contexts',
          ],
        );
        return true;
      },
    );
  });

  it('that is not YAML says in which line', () => {
    assert.throws(
      () => parseConfig('contexts:\n  a: [\n', 'config.yaml'),
      (error: RuneError) => /^line [23]$/.test(error.facts.validationErrors?.[0]?.field ?? ''),
    );
  });

  it('is found under XDG_CONFIG_HOME, by default under ~/.config', () => {
    assert.equal(configPath({ XDG_CONFIG_HOME: '/x', HOME: '/h' }), '/x/rune/config.yaml');
    assert.equal(configPath({ HOME: '/h' }), '/h/.config/rune/config.yaml');
    assert.equal(configPath({ XDG_CONFIG_HOME: 'relative', HOME: '/h' }), '/h/.config/rune/config.yaml');
  });
});

describe('the service to talk to', () => {
  const config = parseConfig(FILE, 'config.yaml');
  const none = parseConfig('', 'config.yaml');
  const cases: [string, Parameters<typeof resolveConnection>[0], string][] = [
    ['is the usual address without any setting', { flags: {}, env: {}, config: none }, '127.0.0.1:50051'],
    ['comes from the current context', { flags: {}, env: {}, config }, '127.0.0.1:6000'],
    [
      'comes from RUNE_CONTEXT over the current context',
      { flags: {}, env: { RUNE_CONTEXT: 'prod' }, config },
      'lom.example:50051',
    ],
    ['comes from RUNE_SERVER over the file', { flags: {}, env: { RUNE_SERVER: 'a:1' }, config }, 'a:1'],
    [
      'comes from --context over RUNE_SERVER',
      { flags: { context: 'prod' }, env: { RUNE_SERVER: 'a:1' }, config },
      'lom.example:50051',
    ],
    [
      'comes from --server over everything',
      { flags: { server: 'b:2', context: 'prod' }, env: { RUNE_SERVER: 'a:1' }, config },
      'b:2',
    ],
    [
      'is RUNE_SERVER where the context names none',
      { flags: { context: 'bare' }, env: { RUNE_SERVER: 'a:1' }, config },
      'a:1',
    ],
    [
      'ignores empty variables',
      { flags: {}, env: { RUNE_SERVER: '', RUNE_CONTEXT: '' }, config },
      '127.0.0.1:6000',
    ],
  ];
  for (const [what, from, expected] of cases) {
    it(what, () => assert.equal(resolveConnection(from).address, expected));
  }

  it('keeps the certificates of the context when --server replaces its address', () => {
    const { tls } = resolveConnection({ flags: { server: 'b:2', context: 'prod' }, env: {}, config });
    assert.equal(tls?.caFile, 'ca.pem');
  });

  it('refuses a context that is not there and an address that is none', () => {
    const flags = { context: 'prdo' };
    assert.throws(
      () => resolveConnection({ flags, env: {}, config }),
      /--context prdo: .*known: home, prod, bare/,
    );
    assert.throws(
      () => resolveConnection({ flags: { server: 'web' }, env: {}, config }),
      /--server web: write host:port/,
    );
    assert.throws(
      () => resolveConnection({ flags: {}, env: { RUNE_SERVER: ':1' }, config: none }),
      /RUNE_SERVER :1/,
    );
  });
});

describe('a duration on the command line', () => {
  const cases: [string, number][] = [
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5h', 5_400_000],
    ['1m30s', 90_000],
  ];
  for (const [text, ms] of cases)
    it(`${text} is ${ms} ms`, () => assert.equal(parseDuration(text, '--timeout'), ms));
  for (const text of ['', '30', '0s', '-5s', '5 s', '5d', 's']) {
    it(`"${text}" is refused`, () => {
      assert.throws(() => parseDuration(text, '--timeout'), {
        name: 'COMMAND_INVALID',
        message: /^--timeout/,
      });
    });
  }
});

describe('a time on the command line', () => {
  const nowMs = Date.parse('2026-01-31T12:00:00Z');
  const cases: [string, string][] = [
    ['30m', '2026-01-31T11:30:00Z'],
    ['1h30m', '2026-01-31T10:30:00Z'],
    ['7d', '2026-01-24T12:00:00Z'],
    ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z'],
    ['2026-01-02T03:04+02:00', '2026-01-02T01:04:00Z'],
  ];
  for (const [text, expected] of cases) {
    it(`${text} is ${expected}`, () => {
      assert.equal(timeOf(parseTime('--since')(text), nowMs).getTime(), Date.parse(expected));
    });
  }
  it('without a zone is of the local one', () => {
    const at = (text: string) => timeOf(parseTime('--since')(text), nowMs).getTime();
    assert.equal(at('2026-01-02'), new Date(2026, 0, 2).getTime());
    assert.equal(at('2026-01-02 03:04'), new Date(2026, 0, 2, 3, 4).getTime());
  });
  for (const text of ['', 'yesterday', '0d', '2', '2026-13-01', '2026-02-31T99:00', 'Jan 2 2026', '2026']) {
    it(`"${text}" is refused`, () => {
      assert.throws(() => parseTime('--since')(text), { name: 'COMMAND_INVALID', message: /^--since/ });
    });
  }
});
