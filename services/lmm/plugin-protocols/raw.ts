import type { PluginProtocol } from './plugin-protocol.js';
import { exitCodeOf, NO_INPUT, programAnswer } from './program.js';

const STDERR_BYTES_MAX = 64 * 1024;

/** Any program: what it prints and its exit code are the result, and only 0 is success. */
export const RAW: PluginProtocol = {
  ...NO_INPUT,
  stderrBytesMax: STDERR_BYTES_MAX,
  decode({ stdout, stderr, stderrTruncated, end }) {
    const result = {
      stdout: stdout.toString(),
      stderr: stderr.toString(),
      ...(stderrTruncated ? { stderr_truncated: true } : {}),
      ...exitCodeOf(end),
    };
    const isFailure = 'exitCode' in end && end.exitCode !== 0;
    return programAnswer(
      result,
      end,
      isFailure ? `The program ended with exit code ${end.exitCode}.` : undefined,
    );
  },
};
