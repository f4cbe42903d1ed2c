import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context, RootHookObject } from 'mocha';
import { eventually } from './eventually.js';

/** What keeps a process alive and always belongs to somebody; timers are mocha's own as well. */
const OWNED = /^(?:ProcessWrap|PipeWrap|TCPServerWrap|TCPSocketWrap|UDPWrap|FSEventWrap|StatWatcher)$/;

function owned(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => OWNED.test(kind))
    .toSorted();
}

let atFirst: readonly string[] = [];

/**
 * Fails where a test leaves a child process, server, socket or watcher behind: a single process with such tests would never end,
 * and the workers of a parallel run are ended by force. Mocha runs it around each file in a worker, else around all files.
 */
export const mochaHooks: RootHookObject = {
  async beforeAll() {
    await nextTurn();
    atFirst = owned();
  },
  async afterAll(this: Context) {
    const files = new Set(this.test?.parent?.suites.map(({ file }) => file));
    await eventually(() => assert.deepEqual(owned(), atFirst), {
      label: `everything that was opened to be closed by ${files.size === 1 ? [...files].join() : 'the tests'}`,
    });
  },
};
