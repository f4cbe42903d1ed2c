import assert from 'node:assert/strict';
import { unitFiles } from '../unit-files.js';

describe('the unit part of the tests', () => {
  const files = unitFiles();
  const holds = (name: string): boolean => files.some((file) => file.endsWith(`/dist/test/${name}.test.js`));

  for (const name of ['lom/plan/params', 'lmm/mediate', 'plugins/http-check', 'shared/rpc/rpc-server']) {
    it(`holds ${name}, which starts none of our programs`, () => assert.ok(holds(name)));
  }

  for (const [name, why] of Object.entries({
    'support/sshd': 'which imports what starts an sshd',
    'lmm/transports/contract': 'whose own helper does',
    'e2e/main-job': 'whose world starts everything',
    'cli/rune': 'which starts the command line',
    'shared/rpc/rpc-memory': 'which names the program of a server',
    'shared/process/run-service': 'which names the program of a service',
  })) {
    it(`leaves out ${name}, ${why}`, () => assert.ok(!holds(name)));
  }
});
