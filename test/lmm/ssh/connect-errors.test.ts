import assert from 'node:assert/strict';
import { explainFailure } from '../../../services/lmm/transports/ssh/connect-errors.js';

const TARGET = { node: 'web01', address: '192.0.2.1', port: 22, via: undefined };

describe('a login that ends early', () => {
  for (const [what, fields, name] of [
    ['because a damaged packet came', { level: 'protocol' }, 'NODE_UNREACHABLE'],
    ['because the connection was reset', { level: 'client-socket', code: 'ECONNRESET' }, 'NODE_UNREACHABLE'],
    ['because the node hangs up and says why', { code: 2 }, 'AUTHENTICATION_FAILED'],
    ['because nobody is let in', { level: 'client-authentication' }, 'AUTHENTICATION_FAILED'],
  ] as const) {
    it(`is ${name} ${what}`, () => {
      const error = explainFailure(TARGET, 'authenticating', Object.assign(new Error('said so'), fields));
      assert.equal(error.name, name);
      assert.match(error.message, /login/);
    });
  }
});
