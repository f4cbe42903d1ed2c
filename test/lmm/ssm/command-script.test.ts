import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { commandScript } from '../../../services/lmm/transports/ssm/command-script.js';
import { sizeOf } from '../../../services/lmm/transports/ssm/node-script.js';
import { RuneError } from '../../../services/shared/errors.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const TARGET = nodeOf({ kind: 'ssm', url: '', region: 'eu-central-1', instanceIds: ['i-0123456789abcdef0'] });
const LIMITS = { form: 'commands', bytesMax: 48 * 1024, wholeBytesMax: 0 } as const;

describe('the script of a command of Systems Manager', () => {
  it('holds nothing of plugin and input as it is, and nothing that the service would replace', () => {
    const script = commandScript(
      commandFor(TARGET, 'echo "{{ssm:/prod/password}}" hunter2', { input: '{"a":"{{ ssm:/b }}"}' }),
      LIMITS,
    );
    assert.doesNotMatch(script.lines.join('\n'), /\{\{|hunter2|password/);
  });

  it('is refused beyond its limit by an error that names both sizes', () => {
    const noise = randomBytes(60_000).toString('base64');
    assert.throws(
      () => commandScript(commandFor(TARGET, `# ${noise}\n`), LIMITS),
      (error: unknown) => {
        assert(error instanceof RuneError);
        assert.equal(error.name, 'SSM_COMMAND_TOO_LARGE');
        const sizes = /is a command of (\d+) bytes; over SSM it may have 49152\./.exec(error.message);
        assert.ok(Number(sizes?.[1]) > 60_000, error.message);
        return true;
      },
    );
  });

  it('leaves most of the limit to the plugin', () => {
    const script = commandScript(commandFor(TARGET, 'exit 0'), LIMITS);
    assert.ok(sizeOf(script, 'commands') < 14 * 1024);
    assert.ok(sizeOf(script, 'typed') < 9 * 1024);
  });
});
