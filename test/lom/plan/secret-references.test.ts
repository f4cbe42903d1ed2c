import assert from 'node:assert/strict';
import type { Action } from '../../../services/shared/bundle/action.js';
import { checkParams } from '../../../services/lom/plan/params.js';
import { referencedParams, requireReferences } from '../../../services/lom/plan/secret-references.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';

const action = {
  capability: {
    action: 'set-password',
    inputSchema: JSON.stringify({
      type: 'object',
      properties: { user: { type: 'string' }, password: { type: 'string', writeOnly: true } },
    }),
  },
} as Action;
const STRICT = JSON.stringify({
  type: 'object',
  properties: {
    user: { type: 'string', pattern: '^[a-z]+$' },
    password: { type: 'string', pattern: '^[a-z]+$', writeOnly: true },
  },
});
const over = (...transports: string[]): Parameters<typeof requireReferences>[2] =>
  transports.map((transport, index) => ({ node: { name: `web0${index}` }, transport }));

describe('secret parameters', () => {
  it('are refused over ssm, by an error that names parameter and node, says what to do, and never shows the value', () => {
    assert.throws(
      () => requireReferences(action, { user: 'ops', password: 'hunter2' }, over('ssh', 'ssm')),
      (error: Error) => {
        assert.equal(error.name, 'SECRET_NOT_CARRIED');
        assert.match(
          error.message,
          /set-password has the secret parameter password, and ssm, which leads to web01/,
        );
        assert.doesNotMatch(JSON.stringify(error), /hunter2/);
        return true;
      },
    );
    assert.throws(() => requireReferences(action, { password: 'ssm:/a b' }, over('ssm')));
    assert.throws(() => requireReferences(action, { password: { ref: 'ssm:/a' } }, over('ssm')));
  });

  it('may be references to Parameter Store', () => {
    requireReferences(action, { user: 'ops', password: 'ssm:/prod/db/password' }, over('ssm'));
  });

  it('that are references need fit the schema only where they are taken as they are', () => {
    const strict = {
      ...action,
      input: createSchemaCompiler().compile(STRICT, 'params'),
    } as unknown as Action;
    const params = { user: 'ops', password: 'ssm:/prod/db/password' };
    assert.deepEqual(checkParams(params, strict), params);
    requireReferences(strict, params, over('ssm'));
    assert.throws(() => requireReferences(strict, params, over('ssm', 'ssh')), { name: 'INVALID_PARAMS' });
    assert.throws(() => checkParams({ password: 'UPPER' }, strict), { name: 'INVALID_PARAMS' });
    assert.throws(() => checkParams({ user: 'ssm:/a' }, strict), { name: 'INVALID_PARAMS' });
  });

  it('that are references are named to a mediator whose nodes look them up', () => {
    const params = { user: 'ssm:/a', password: 'ssm:/b' };
    assert.deepEqual(referencedParams(action, params, 'ssm'), ['password']);
    assert.deepEqual(referencedParams(action, params, 'ssh'), []);
  });

  it('are as they were over every other transport, and do not matter where none is given', () => {
    requireReferences(action, { password: 'hunter2' }, over('ssh', 'openssh', 'local'));
    requireReferences(action, { user: 'ops' }, over('ssm'));
  });
});
