import type { Context, RootHookObject } from 'mocha';

let before = '';

/**
 * Says of each test that is tried a second time that it is. The tests drive dozens of processes on a machine that may be busy: a
 * run of thousands is not to end for the one that met a bad moment, and nobody is to overlook it either.
 */
export const mochaHooks: RootHookObject = {
  beforeEach(this: Context) {
    const title = this.currentTest?.fullTitle() ?? '';
    if (title === before) process.stderr.write(`SECOND TRY, the first one failed: ${title}\n`);
    before = title;
  },
};
