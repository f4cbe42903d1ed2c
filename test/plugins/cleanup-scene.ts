import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeScriptedNode, type ScriptedNode } from '../support/scripted-node.js';
import { makeToolPath, runShippedAction, type ActionEnding } from './shipped-action.js';

/** What disk-cleanup cannot do without. */
export const CLEANUP_TOOLS = ['df', 'find', 'head', 'id', 'readlink', 'rm', 'sort', 'stat', 'timeout'];
/** A user without rights. */
export const NOBODY = 65_534;
const DAY_SECONDS = 86_400;
const JOURNAL_ID = 'f'.repeat(32);

interface Item {
  readonly item: string;
  readonly freed_bytes: number;
  readonly files: number;
  readonly command: string | null;
  readonly privilege: string;
  readonly error: string | null;
}

/** What disk-cleanup answers. */
export interface Cleaned {
  readonly message: string;
  readonly freed_bytes: number;
  readonly items: readonly Item[];
  readonly rotated_logs: readonly {
    path: string;
    bytes: number;
    modified: string | null;
    state: string;
    reason: string | null;
  }[];
  readonly rotated_logs_left: number;
  readonly rotated_logs_not_listed: number;
  readonly rotated_logs_beyond_limit: number;
  readonly processes_unreadable: number;
  readonly file_systems: readonly {
    available_bytes_before: number;
    available_bytes_after: number | null;
  }[];
}

/** How disk-cleanup is run, where the usual will not do. */
export interface CleanupSetting {
  readonly dryRun?: boolean;
  readonly uid?: number;
  readonly path?: string;
  readonly patterns?: readonly string[];
}

/** A node with logs, journals and packages, and disk-cleanup that may remove them. */
export interface CleanupScene {
  readonly node: ScriptedNode;
  readonly state: string;
  readonly logs: string;
  /** A PATH with what disk-cleanup needs. */
  readonly path: string;
  ending(params: object, setting?: CleanupSetting): Promise<ActionEnding>;
  /** Runs it without an error. */
  clean(params: object, setting?: CleanupSetting): Promise<Cleaned>;
  /** Writes files below the logs and makes them this old; resolves with the bytes that they take. */
  rotated(files: Readonly<Record<string, string | Buffer>>, days?: number): Promise<number>;
  /** An archived journal of this size, whose first entry is this old. */
  archived(days: number, bytes: number): Promise<string>;
  /** What these files below the state take. */
  allocated(...names: readonly string[]): Promise<number>;
  /** A PATH on which this program does something first. */
  sabotaged(program: string, what: string): Promise<string>;
}

/** The items of a failed cleanup. */
export const itemsOf = (error: ActionEnding['error']): readonly Item[] =>
  (error?.details['items'] ?? []) as Item[];

/** Makes a file as old as this. */
export async function age(file: string, days: number): Promise<void> {
  const seconds = Date.now() / 1000 - days * DAY_SECONDS;
  await utimes(file, seconds, seconds);
}

/** Whether there is something of this name, a link without its target too. */
export const exists = (file: string): Promise<boolean> =>
  lstat(file).then(
    () => true,
    () => false,
  );

/** Makes a node for each test. To be called in a `describe`. */
export function cleanupScene(): CleanupScene {
  let node: ScriptedNode;
  let state: string;
  let logs: string;
  let path: string;
  beforeEach(async () => {
    node = await makeScriptedNode(['journalctl', 'apt-get', 'sudo']);
    state = join(node.path, 'state');
    logs = join(state, 'logs');
    path = `${node.path}/bin:${await makeToolPath(join(node.path, 'cleanup-tools'), [...CLEANUP_TOOLS, 'cat', 'env'])}`;
    await node.state({ 'logs/.keep': '', 'packages/.keep': '', 'journal-files/.keep': '' });
  });
  afterEach(() => node.remove());

  const ending: CleanupScene['ending'] = (params, setting = {}) =>
    runShippedAction('disk-cleanup', {
      params,
      dryRun: setting.dryRun === true,
      configuration: {
        rotated_logs: (setting.patterns ?? ['**/*.gz', '**/*.[0-9]']).map((pattern) => join(logs, pattern)),
        journal_directories: [join(state, 'journal-files')],
        package_cache_directories: [join(state, 'packages'), join(state, 'nothing')],
      },
      environment: { PATH: setting.path ?? path },
      ...(setting.uid === undefined ? {} : { uid: setting.uid }),
    });
  return {
    get node() {
      return node;
    },
    get state() {
      return state;
    },
    get logs() {
      return logs;
    },
    get path() {
      return path;
    },
    ending,
    async clean(params, setting) {
      const { error, output, stderr } = await ending(params, setting);
      assert.equal(error, null, JSON.stringify(error));
      assert.equal(stderr, '');
      return output as unknown as Cleaned;
    },
    async rotated(files, days = 30) {
      let bytes = 0;
      for (const [name, content] of Object.entries(files)) {
        const file = join(logs, name);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, content);
        await age(file, days);
        bytes += (await stat(file)).blocks * 512;
      }
      return bytes;
    },
    async archived(days, bytes) {
      const micros = BigInt(Math.floor(Date.now() / 1000 - days * DAY_SECONDS)) * 1_000_000n;
      const name = `m/system@${JOURNAL_ID}-${'0'.repeat(16)}-${micros.toString(16).padStart(16, '0')}.journal`;
      await mkdir(join(state, 'journal-files', 'm'), { recursive: true });
      await writeFile(join(state, 'journal-files', name), Buffer.alloc(bytes, 1));
      return `journal-files/${name}`;
    },
    async allocated(...names) {
      const found = await Promise.all(names.map((name) => stat(join(state, name))));
      return found.reduce((bytes, { blocks }) => bytes + blocks * 512, 0);
    },
    async sabotaged(program, what) {
      const place = join(node.path, 'sabotage');
      await mkdir(place, { recursive: true });
      const real = execFileSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], {
        encoding: 'utf8',
      }).trim();
      await writeFile(join(place, program), `#!/bin/sh\n${what}\nexec ${real} "$@"\n`);
      await chmod(join(place, program), 0o755);
      return `${place}:${path}:/bin:/usr/bin`;
    },
  };
}
