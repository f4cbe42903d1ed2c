import type { Context, RootHookObject } from 'mocha';

let before: unknown;

/**
 * Says of each test that is tried a second time that it is. The tests drive dozens of processes on a machine that may be busy: a
 * run of thousands is not to end for the one that met a bad moment, and nobody is to overlook it either.
 */
export const mochaHooks: RootHookObject = {
  beforeEach(this: Context) {
    const test = this.currentTest;
    // A second try is another object with the same function; tests of one title have functions of their own.
    if (test !== undefined && test.fn === before)
      process.stderr.write(`SECOND TRY, the first one failed: ${test.fullTitle()}\n`);
    before = test?.fn;
  },
};
