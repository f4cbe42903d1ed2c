import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandScript } from '../../services/lmm/transports/ssm/command-script.js';
import { groupScript } from '../../services/lmm/transports/ssm/group-script.js';
import { lookScript } from '../../services/lmm/transports/ssm/look-script.js';
import { linesGiven, scriptParameters } from '../../services/lmm/transports/ssm/node-script.js';
import { typedDocument } from '../../services/lmm/transports/ssm/typed-document.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { nodeOf } from '../support/links.js';
import { commandFor } from '../support/run-plugin.js';
import { bindParameters, readDocument } from '../support/ssm/document.js';

const LIMITS = { form: 'typed', bytesMax: 48 * 1024, wholeBytesMax: 4 * 1024 * 1024 } as const;
const IDS = ['i-0123456789abcdef0', 'mi-0123456789abcdef1'];
const TARGET = nodeOf({ kind: 'ssm', url: '', region: 'eu-central-1', instanceIds: IDS });
/** The service takes no more for a document with the values of its parameters. */
const CONTENT_BYTES_MAX = 64 * 1024;

describe('deploy/ssm/RUNE-Run.json', () => {
  const text = readFileSync(join(packageRoot, 'deploy/ssm/RUNE-Run.json'), 'utf8');
  const document = readDocument(JSON.parse(text));
  const bind = (given: Readonly<Record<string, readonly string[]>>): readonly string[] =>
    bindParameters(document, given).lines;
  const good = { ...scriptParameters(lookScript('x', 1), 'typed'), executionTimeout: ['60'] };

  it('is the document of this release (npm run schemas writes it)', () => {
    assert.deepEqual(JSON.parse(text), typedDocument());
  });

  it('takes whatever a mediator sends, as it is, and leaves room for it', () => {
    const hostile = commandFor(
      TARGET,
      `'"\`$(id)\n{{ data }} {{ssm:x}} ,,\\\n${randomBytes(900).toString('base64')}`,
      {
        input: '{"a":"mark"}',
        references: [{ parameter: 'a', name: '/Rune/a-b_c.d', start: 5, end: 11 }],
      },
    );
    const members = IDS.map((instanceId) => ({ command: commandFor(TARGET, 'true'), instanceId }));
    for (const script of [
      commandScript({ ...hostile, runAs: { user: 'www-data', become: 'sudo' } }, LIMITS),
      groupScript(members, LIMITS) ?? assert.fail('they do not fit'),
      lookScript('11111111-2222-3333-4444-555555555555', 30_000),
    ]) {
      const parameters = scriptParameters(script, 'typed');
      const lines = bind({ ...parameters, executionTimeout: ['172800'] });
      assert.equal(lines.at(-3), [script.kind, ...script.lines].join(','));
      assert.equal(linesGiven(parameters), ['', ...script.lines].join('\n'));
    }
    assert.ok(text.length + LIMITS.bytesMax < CONTENT_BYTES_MAX);
  });

  it('has a script that nothing but its data can change', () => {
    const fixed = bind(good).filter((line) => !line.startsWith('look,') && !line.startsWith('# '));
    assert.doesNotMatch(fixed.join('\n'), /\{\{/);
    for (const [name, value] of [
      ['data', "x'; touch /tmp/x; '"],
      ['data', 'RUNE\ntouch /tmp/x'],
      ['data', '$(id)'],
      ['data', '{{ssm:/x}}'],
      ['data', ''],
      ['kind', 'other'],
      ['form', '0123456789abcdef'],
      ['executionTimeout', '1;id'],
      ['commands', 'id'],
    ] as const)
      assert.throws(
        () => bind({ ...good, [name]: [value] }),
        { type: 'InvalidParameters' },
        `${name}: ${value}`,
      );
  });
});
