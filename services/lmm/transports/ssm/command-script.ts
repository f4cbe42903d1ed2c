import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { RuneError } from '../../../shared/errors.js';
import { packageRoot } from '../../../shared/package-root.js';
import { remoteCommand } from '../remote-command.js';
import type { NodeCommand } from '../transport.js';
import { weaveUpload } from './weave-upload.js';

/** Characters that the agent keeps of a script's outputs, less than it does by what stands around them. */
const OUT_CHARS_MAX = 23_400;
const ERR_CHARS_MAX = 7_800;
/** Nobody speaks on the lease: it ends with the pipe, or with the plugin's own time. */
const LEASE_MARGIN_MS = 3_600_000;
const BASE64_LINE = /.{1,1000}/g;

const ON_NODE = readFileSync(join(packageRoot, 'services/lmm/transports/ssm/on-node.sh'), 'utf8')
  .split('\n')
  .map((line) => line.trimStart())
  .filter((line) => line !== '' && !line.startsWith('#'))
  .join('\n');

/**
 * The script that one command of Systems Manager runs on a node. It holds plugin, parameters and input in base64, so that nothing
 * in them is read as shell or as a reference to a parameter. Throws INVALID_REQUEST as the upload does, and SSM_COMMAND_TOO_LARGE
 * when it is longer than `bytesMax`. An output that does not fit into an invocation follows as a whole, for the bucket, if it has at
 * most `wholeBytesMax`; 0 for none.
 */
export function commandScript(
  command: NodeCommand,
  { bytesMax, wholeBytesMax }: { readonly bytesMax: number; readonly wholeBytesMax: number },
): string {
  const leaseMs = command.timeoutMs + command.killGraceMs + LEASE_MARGIN_MS;
  const { bytes, holes, roomBytes, nonce, startToken } = weaveUpload(command, leaseMs);
  const upload = gzipSync(bytes, { level: 9 }).toString('base64');
  const script = [
    '#!/bin/sh',
    `command -v bash >/dev/null 2>&1 || { echo 'RUNE-SSM ${command.runId} unable bash'; exit 0; }`,
    `bash --noprofile --norc -p -c '${ON_NODE}' "$0" <<'RUNE'`,
    [
      command.runId,
      nonce,
      startToken,
      OUT_CHARS_MAX,
      ERR_CHARS_MAX,
      wholeBytesMax,
      holes.length,
      roomBytes,
    ].join(' '),
    Buffer.from(remoteCommand(command)).toString('base64'),
    ...holes.map(({ skip, name }) => `${skip} ${name}`),
    ...(upload.match(BASE64_LINE) ?? []),
    'RUNE',
    'exit 0',
  ].join('\n');
  if (script.length <= bytesMax) return script;
  throw new RuneError(
    'SSM_COMMAND_TOO_LARGE',
    `The plugin with its parameters is a command of ${script.length} bytes; over SSM it may have ${bytesMax}.`,
    { node: command.target.name, runId: command.runId },
  );
}
