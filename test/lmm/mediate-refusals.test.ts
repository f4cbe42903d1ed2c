import assert from 'node:assert/strict';
import { mediatorWith, sha256, type StartFields } from '../support/scripted-mediator.js';
import { plugin, script, refusal } from './mediate-calls.js';

describe('the mediator', () => {
  describe('refuses before anything reaches the node', () => {
    const cases: [title: string, fields: StartFields, expected: string][] = [
      [
        'bytes that do not fit their digest',
        { plugin: { script: { sha256: sha256(Buffer.from('x')), content: script } } },
        'CHECKSUM_MISMATCH',
      ],
      ['a plugin without a digest', { plugin: {} }, 'FIELD_MALFORMED'],
      ['a dispatch group that is too long', { dispatchGroup: 'g'.repeat(65) }, 'FIELD_MALFORMED'],
      ['a dispatch group of two lines', { dispatchGroup: 'g\n' }, 'FIELD_MALFORMED'],
      ['a run id that is no UUID', { runId: '../../etc' }, 'FIELD_MALFORMED'],
      [
        'a transport that it does not offer',
        { target: { name: 'n', transport: 'telnet' } },
        'TRANSPORT_NOT_AVAILABLE',
      ],
      ['a target without a name', { target: { transport: 'scripted' } }, 'FIELD_MALFORMED'],
      ['parameters that are not an object', { paramsJson: Buffer.from('[]') }, 'FIELD_MALFORMED'],
      ['parameters that are two objects', { paramsJson: Buffer.from('{},{}') }, 'FIELD_MALFORMED'],
      [
        'node variables that close the context',
        { context: { nodeVarsJson: Buffer.from('{}},"x":{') } },
        'FIELD_MALFORMED',
      ],
      [
        'a configuration that is no object',
        { context: { configurationJson: Buffer.from('3') } },
        'FIELD_MALFORMED',
      ],
      [
        "a file that would lie outside of the plugin's folder",
        { plugin: { ...plugin, files: [{ path: '../x', blob: plugin.script }] } },
        'FIELD_MALFORMED',
      ],
      [
        'more arguments than a process may have',
        { plugin: { ...plugin, arguments: ['x'.repeat(64 * 1024)] } },
        'FIELD_MALFORMED',
      ],
      [
        'a requirement that is no name',
        { plugin: { ...plugin, requires: { commands: ['a;b'], os: [] } } },
        'FIELD_MALFORMED',
      ],
      [
        'a timeout beyond its maximum',
        { limits: { timeout: { seconds: 61, nanos: 0 } } },
        'FIELD_OUT_OF_RANGE',
      ],
      ['a negative timeout', { limits: { timeout: { seconds: -1, nanos: 0 } } }, 'FIELD_OUT_OF_RANGE'],
      [
        'a port that cannot be',
        { target: { name: 'n', transport: 'scripted', port: 70_000 } },
        'FIELD_MALFORMED',
      ],
      ...['', 'root; id', '-u', '#0', "root'", '$(id)', 'root\n', 'ro ot'].map(
        (user): [string, StartFields, string] => [
          `a run-as user ${JSON.stringify(user)}`,
          { runAs: { user, become: 'sudo' } },
          'FIELD_MALFORMED',
        ],
      ),
      [
        'another program to become a user with',
        { runAs: { user: 'root', become: 'su;' } },
        'FIELD_MALFORMED',
      ],
      ['an empty script', { plugin: { script: { sha256: sha256(Buffer.alloc(0)) } } }, 'FIELD_MALFORMED'],
      ['an output limit beyond its maximum', { limits: { outputBytesMax: 5000 } }, 'FIELD_OUT_OF_RANGE'],
    ];
    for (const [title, fields, expected] of cases) {
      it(title, () => {
        const mediator = mediatorWith(() => assert.fail('the node was reached'));
        assert.equal(refusal(mediator, fields), expected);
        assert.equal(mediator.runCount, 0);
      });
    }
  });
});
