import { execFile } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from './free-port.js';

const run = promisify(execFile);

const PACKAGES = '/usr/lib/postgresql';
const START_ATTEMPTS_MAX = 5;

/** A real PostgreSQL cluster of its own: own files, own port, nobody else's databases. */
export interface TestPostgres {
  readonly port: number;
  /** Makes an empty database and answers its URL, with a password in it. */
  createDatabase(): Promise<string>;
  /** Performs one statement on a connection of its own. */
  query(url: string, text: string): Promise<Record<string, unknown>[]>;
  /** Ends the server as a power cut ends it, or in an orderly way that cuts every connection. */
  halt(how: 'immediate' | 'fast'): Promise<void>;
  /** Starts it again on the same port. */
  start(): Promise<void>;
  /** Process id of the server. */
  pid(): number;
  /** Ends the server and removes every file. Harmless when called twice. */
  stop(): Promise<void>;
}

/** Starts a cluster as the user postgres, who comes with the Debian package postgresql; needs root. */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = findPrograms();
  const owner = await ownerIds();
  const directory = await mkdtemp(join(tmpdir(), 'rune-postgres-'));
  await chown(directory, owner.uid, owner.gid);
  await chmod(directory, 0o755);
  const data = join(directory, 'data');
  const as = (program: string, ...args: string[]): Promise<unknown> =>
    run(join(bin, program), args, {
      cwd: directory,
      ...owner,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    });
  const stop = async (): Promise<void> => {
    if (existsSync(join(data, 'postmaster.pid')))
      await as('pg_ctl', 'stop', '-D', data, '-m', 'immediate', '-w');
    await rm(directory, { recursive: true, force: true });
  };

  try {
    // Any login is believed, so that the password in a URL is there only to be looked for.
    await as('initdb', '-D', data, '-U', 'postgres', '-E', 'UTF8', '--auth', 'trust', '--no-sync');
    let port = 0;
    const start = async (): Promise<void> => {
      // What costs time and changes no answer: the machine of a test does not lose its power.
      const options = `-p ${port} -k ${directory} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB`;
      await as('pg_ctl', 'start', '-D', data, '-l', join(directory, 'log'), '-w', '-o', options);
    };
    for (let attempt = 1; ; attempt += 1) {
      port = await freePort();
      try {
        await start();
        break;
      } catch (error) {
        // Another process may have taken the port between looking for it and binding it.
        const log = readFileSync(join(directory, 'log'), 'utf8');
        if (attempt === START_ATTEMPTS_MAX || !log.includes('Address already in use')) throw error;
      }
    }
    const urlOf = (name: string): string => `postgres://postgres:open-sesame@127.0.0.1:${port}/${name}`;
    const query = async (url: string, text: string): Promise<Record<string, unknown>[]> => {
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(text)).rows;
      } finally {
        await client.end();
      }
    };
    let databases = 0;
    return {
      port,
      async createDatabase() {
        databases += 1;
        const name = `store_${databases}`;
        await query(urlOf('postgres'), `create database ${name}`);
        return urlOf(name);
      },
      query,
      async halt(how) {
        await as('pg_ctl', 'stop', '-D', data, '-m', how, '-w');
      },
      start,
      pid: () => Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where the newest installed release has its programs. */
function findPrograms(): string {
  const releases = existsSync(PACKAGES)
    ? readdirSync(PACKAGES).toSorted((a, b) => Number(b) - Number(a))
    : [];
  const found = releases
    .map((release) => join(PACKAGES, release, 'bin'))
    .find((bin) => existsSync(join(bin, 'initdb')));
  if (found === undefined || process.getuid?.() !== 0) {
    throw new Error('This test needs root and the Debian package postgresql.');
  }
  return found;
}

/** The ids of the user postgres, who alone may run the server. */
async function ownerIds(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)),
  );
  return { uid: uid!, gid: gid! };
}
