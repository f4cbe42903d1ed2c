import { appendFileSync } from 'node:fs';
import { Client } from '@grpc/grpc-js';
import { CompiledQuery, type DatabaseConnection } from 'kysely';

// Preloaded into a service: counts the points at which a crash makes a difference, and kills the process at one of them. A point
// is either side of each commit that writes something, and of each message that is sent to or comes from another service. CRASH_FROM
// names one: those that come after the first of that name count.

type Method = (this: unknown, ...args: unknown[]) => unknown;

const file = process.env['CRASH_POINTS_FILE'] ?? '/dev/null';
const killAt = Number(process.env['CRASH_AT'] ?? Infinity);
let waitsFor = process.env['CRASH_FROM'];
let count = 0;

function point(what: string): void {
  appendFileSync(file, `${what}\n`);
  if (waitsFor !== undefined) {
    if (what === waitsFor) waitsFor = undefined;
    return;
  }
  count += 1;
  if (count === killAt) process.kill(process.pid, 'SIGKILL');
}

function patch(target: object, name: string, around: (original: Method) => Method): void {
  Reflect.set(target, name, around(Reflect.get(target, name) as Method));
}

const WRITES = /^\s*(?:insert|update|delete|create)\b|^\s*with\b.*\b(?:insert into|update|delete from)\b/is;

/** What the store has under way on a connection: whether it is a transaction, and what SQLite had changed when that began. */
interface Work {
  inTransaction: boolean;
  changesBefore: number;
  readonly changes: () => Promise<number>;
}
const works = new WeakMap<object, Work>();

async function aroundCommit(commit: () => unknown): Promise<unknown> {
  point('before a commit');
  const result = await commit();
  point('after a commit');
  return result;
}

function watchConnection(connection: DatabaseConnection): void {
  const count = connection.executeQuery.bind(connection);
  const work: Work = {
    inTransaction: false,
    changesBefore: 0,
    // By the database: a transaction may write without a query that passes here.
    async changes() {
      const { rows } = await count<{ n: number }>(CompiledQuery.raw('select total_changes() as n'));
      return rows[0]?.n ?? 0;
    },
  };
  works.set(connection, work);
  patch(
    connection,
    'executeQuery',
    (execute) =>
      async function (query) {
        const perform = (): unknown => execute.call(this, query);
        const commits = !work.inTransaction && WRITES.test((query as CompiledQuery).sql);
        return commits ? aroundCommit(perform) : perform();
      },
  );
}

// Every connection of the store passes here.
const { RuntimeDriver } = (await import(
  new URL('./driver/runtime-driver.js', import.meta.resolve('kysely')).href
)) as { RuntimeDriver: { readonly prototype: object } };

patch(
  RuntimeDriver.prototype,
  'acquireConnection',
  (acquire) =>
    async function () {
      const connection = (await acquire.call(this)) as DatabaseConnection;
      if (!works.has(connection)) watchConnection(connection);
      return connection;
    },
);

function patchEnd(name: 'beginTransaction' | 'commitTransaction' | 'rollbackTransaction'): void {
  patch(
    RuntimeDriver.prototype,
    name,
    (end) =>
      async function (connection, ...rest) {
        const work = works.get(connection as object);
        const perform = (): unknown => end.call(this, connection, ...rest);
        if (work === undefined) return perform();
        if (name === 'beginTransaction') work.changesBefore = await work.changes();
        const wrote = name === 'commitTransaction' && (await work.changes()) !== work.changesBefore;
        work.inTransaction = name === 'beginTransaction';
        return wrote ? aroundCommit(perform) : perform();
      },
  );
}
patchEnd('beginTransaction');
patchEnd('commitTransaction');
patchEnd('rollbackTransaction');

const shortName = (path: unknown): string => String(path).split('/').at(-1) ?? '';

patch(
  Client.prototype,
  'makeUnaryRequest',
  (make) =>
    function (path, ...rest) {
      const name = shortName(path);
      const callback = rest.pop() as Method;
      const received: Method = function (...answer) {
        point(`received the answer of ${name}`);
        return callback.apply(this, answer);
      };
      point(`before sending ${name}`);
      const call = make.call(this, path, ...rest, received);
      // The bytes leave the process at the end of this turn of its event loop.
      setImmediate(() => point(`after sending ${name}`));
      return call;
    },
);

patch(
  Client.prototype,
  'makeServerStreamRequest',
  (make) =>
    function (path, ...rest) {
      const name = shortName(path);
      point(`before sending ${name}`);
      const stream = make.call(this, path, ...rest) as object;
      setImmediate(() => point(`after sending ${name}`));
      patch(
        stream,
        'push',
        (push) =>
          function (...chunk) {
            point(`received ${chunk[0] === null ? 'the end' : 'a message'} of ${name}`);
            return push.apply(this, chunk);
          },
      );
      return stream;
    },
);
