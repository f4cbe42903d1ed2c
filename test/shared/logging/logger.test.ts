import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { RuneError } from '../../../services/shared/errors.js';
import { createLogger } from '../../../services/shared/logging/logger.js';
import type { Logger, LogLevel } from '../../../services/shared/logging/logger.js';

function collect(level: LogLevel = 'debug'): {
  logger: Logger;
  lines(): Record<string, unknown>[];
  text(): string;
} {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    logger: createLogger({ level, service: 'test', stream }),
    lines: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line): Record<string, unknown> => JSON.parse(line)),
    text: () => text,
  };
}

describe('the log', () => {
  it('is one JSON object a line: time, level, service, message, then the fields', async () => {
    const { logger, lines, text } = collect();
    logger.info('a\nb', {
      node: 'web01',
      count: 3,
      ok: true,
      at: new Date(0),
      none: null,
      missing: undefined,
    });
    logger.warn('w');
    await logger.flush();
    assert.equal(text().split('\n').length, 3);
    const [{ time, ...line } = {}, second] = lines();
    assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(line, {
      level: 'info',
      service: 'test',
      message: 'a\nb',
      node: 'web01',
      count: 3,
      ok: true,
      at: '1970-01-01T00:00:00.000Z',
      none: null,
    });
    assert.equal(second?.['level'], 'warn');
  });

  it('leaves out what is below its level, and does not even look at its fields', async () => {
    const { logger, lines } = collect('warn');
    const trap = {
      get field(): string {
        throw new Error('looked at');
      },
    };
    logger.debug('d', trap);
    logger.info('i', trap);
    logger.error('e');
    await logger.flush();
    assert.deepEqual(
      lines().map(({ message }) => message),
      ['e'],
    );
  });

  it('a child adds its fields to every line; the names of the line itself are not overwritten', async () => {
    const { logger, lines } = collect();
    logger
      .child({ runId: 'r', a: 1 })
      .child({ a: 2 })
      .info('x', { message: 'other', level: 'error', time: 0 });
    await logger.flush();
    const [line] = lines();
    assert.deepEqual(
      [line?.['runId'], line?.['a'], line?.['message'], line?.['level']],
      ['r', 2, 'x', 'info'],
    );
  });

  it('redacts what is named like a secret, at any depth and by any spelling', async () => {
    const { logger, text } = collect();
    const secrets = [
      'password',
      'Passwd',
      'db_password',
      'passphrase',
      'apiToken',
      'access_token',
      'clientSecret',
      'Authorization',
      'privateKey',
    ];
    logger.info('x', Object.fromEntries(secrets.map((key) => [key, 'hunter2'])));
    logger.info('x', {
      deep: [{ inner: Object.fromEntries(secrets.map((key) => [key, { any: 'hunter2' }])) }],
    });
    await logger.flush();
    assert.doesNotMatch(text(), /hunter2/);
    assert.equal(text().match(/\[redacted\]/g)?.length, 2 * secrets.length);
  });

  it('writes an error with its chain of causes, a RuneError by its name and facts', async () => {
    const { logger, lines } = collect();
    const root = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const err = new RuneError(
      'NODE_UNREACHABLE',
      'web01 is away.',
      { node: 'web01' },
      { cause: new Error('no way', { cause: root }) },
    );
    logger.error('x', { err });
    await logger.flush();
    const written = lines()[0]?.['err'] as {
      name: string;
      node: string;
      stack?: string;
      cause: { message: string; stack: string; cause: { code: string } };
    };
    assert.deepEqual([written.name, written.node, written.stack], ['NODE_UNREACHABLE', 'web01', undefined]);
    assert.equal(written.cause.message, 'no way');
    assert.match(written.cause.stack, /logger\.test/);
    assert.equal(written.cause.cause.code, 'ECONNREFUSED');
  });

  it('never throws, whatever it is given', async () => {
    const { logger, lines } = collect();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const endless = new Error('e');
    endless.cause = endless;
    logger.info('x', {
      circle,
      endless,
      big: 10n,
      bytes: Buffer.alloc(5),
      call: () => 1,
      symbol: Symbol('s'),
      nan: Number.NaN,
      bad: {
        toJSON: () => assert.fail('asked'),
        get x(): string {
          throw new Error('no');
        },
      },
      time: new Date(Number.NaN),
      map: new Map([['k', 1]]),
      lone: '\ud800',
    });
    logger.info('y', { late: new Date(Number.NaN) });
    await logger.flush();
    assert.equal(lines().length, 2);
    assert.equal(lines()[0]?.['big'], '10');
    assert.equal(lines()[0]?.['bytes'], '[5 bytes]');
  });

  it('cuts a text at 8 KB and a line at 32 KB', async () => {
    const { logger, lines, text } = collect();
    const long = '€'.repeat(100_000);
    logger.info('x', { long });
    logger.info('y', Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`key${n}`, long])));
    logger.info(long);
    await logger.flush();
    assert.ok(Buffer.byteLength(String(lines()[0]?.['long'])) <= 8_192);
    assert.equal(lines()[1]?.['cut'], true);
    for (const line of text().split('\n')) assert.ok(Buffer.byteLength(line) <= 100_000);
    assert.equal(lines().length, 3);
  });

  it('a stream that takes nothing costs a bounded amount, and what was dropped is counted', async () => {
    const taken: string[] = [];
    let open = false;
    const waiting: (() => void)[] = [];
    const slow = new Writable({
      write(chunk: Buffer, _encoding, done) {
        taken.push(chunk.toString());
        if (open) done();
        else waiting.push(done);
      },
    });
    const logger = createLogger({ level: 'info', service: 'test', stream: slow });
    for (let n = 0; n < 10_000; n += 1) logger.info('line', { text: 'x'.repeat(500) });
    assert.ok(slow.writableLength < 2 * 1024 * 1024, `${slow.writableLength} bytes wait`);
    open = true;
    waiting.forEach((done) => done());
    await logger.flush();
    const lines = taken.join('').trim().split('\n');
    const dropped = JSON.parse(lines.at(-1) ?? '{}') as { dropped: number };
    assert.equal(lines.length - 1 + dropped.dropped, 10_000);
  });

  it('a stream that is closed or fails is given up silently', async () => {
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const closed = new PassThrough();
    closed.destroy();
    for (const stream of [failing, closed]) {
      const logger = createLogger({ level: 'info', service: 'test', stream });
      for (let n = 0; n < 3; n += 1) {
        logger.info('x');
        await new Promise((resolve) => setImmediate(resolve));
      }
      await logger.flush();
    }
  });
});
