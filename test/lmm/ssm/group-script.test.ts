import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { groupScript, type GroupMember } from '../../../services/lmm/transports/ssm/group-script.js';
import { scriptParameters } from '../../../services/lmm/transports/ssm/node-script.js';
import { readReport } from '../../../services/lmm/transports/ssm/report.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const LIMITS = { form: 'commands', bytesMax: 48 * 1024, wholeBytesMax: 0 } as const;

/** The script itself; empty if one command cannot carry the runs. */
function textOf(all: readonly GroupMember[]): string {
  const script = groupScript(all, LIMITS);
  return script === undefined ? '' : (scriptParameters(script, 'commands')['commands'] ?? []).join('\n');
}

/** Runs on so many instances, each with an input as long as those of real actions. */
function members(count: number): GroupMember[] {
  return Array.from({ length: count }, (_, index) => {
    const instanceId = `i-0123456789abc${String(index).padStart(4, '0')}`;
    const target = nodeOf({ kind: 'ssm', url: '', region: 'eu-central-1', instanceIds: [instanceId] });
    const ids = {
      message_id: randomUUID(),
      node: instanceId,
      execution_id: randomUUID(),
      vars: 'v'.repeat(400),
    };
    return { instanceId, command: commandFor(target, 'exit 0', { input: JSON.stringify(ids) }) };
  });
}

describe('the script of a command for many instances', () => {
  it('takes 50 runs and leaves two fifths of the limit to the plugin', () => {
    const { length } = textOf(members(50));
    assert.ok(length > 0 && length < LIMITS.bytesMax * 0.6, `${length}`);
  });

  it('is none beyond its limit', () => {
    assert.equal(groupScript(members(50), { ...LIMITS, bytesMax: 12 * 1024 }), undefined);
  });

  it('runs nothing on an instance that it has no run for, and says so to whoever asks', async () => {
    const all = members(3);
    for (const env of [{}, { AWS_SSM_INSTANCE_ID: 'i-0123456789abcffff' }]) {
      const { stdout, stderr } = await promisify(execFile)('sh', ['-c', textOf(all)], {
        env: { PATH: process.env['PATH'], ...env },
      });
      for (const { command } of all) {
        const report = readReport(command.runId, stdout, stderr);
        assert.deepEqual(report, { kind: 'unable', what: 'AWS_SSM_INSTANCE_ID' });
      }
    }
  });
});
