import { gzipSync } from 'node:zlib';
import { RuneError } from '../../../shared/errors.js';
import { remoteCommand } from '../remote-command.js';
import type { NodeCommand } from '../transport.js';
import { sizeOf, type DocumentForm, type NodeScript } from './node-script.js';
import { weaveUpload } from './weave-upload.js';

/** Characters that the agent keeps of a script's outputs, less than it does by what stands around them. */
const OUT_CHARS_MAX = 23_400;
const ERR_CHARS_MAX = 7_800;
/** Nobody speaks on the lease: it ends with the pipe, or with the plugin's own time. */
const LEASE_MARGIN_MS = 3_600_000;
export const BASE64_LINE = /.{1,1000}/g;

/** Limits of a script. */
export interface ScriptLimits {
  /** What the document takes. */
  readonly form: DocumentForm;
  readonly bytesMax: number;
  /** Of an output that does not fit into an invocation and follows as a whole, for the bucket; 0 for none. */
  readonly wholeBytesMax: number;
}

/** How much of each output a script may print, as it is told. */
export function roomsOf({ wholeBytesMax }: ScriptLimits): string {
  return `${OUT_CHARS_MAX} ${ERR_CHARS_MAX} ${wholeBytesMax}`;
}

/** What the lease is said to last: longer than anything that a run may take. */
export function leaseMsOf({ timeoutMs, killGraceMs }: NodeCommand): number {
  return timeoutMs + killGraceMs + LEASE_MARGIN_MS;
}

/**
 * The script that one command of Systems Manager runs on a node. It holds plugin, parameters and input in base64, so that nothing
 * in them is read as shell or as a reference to a parameter. Throws INVALID_REQUEST as the upload does, and SSM_COMMAND_TOO_LARGE
 * when it is longer than `bytesMax`.
 */
export function commandScript(command: NodeCommand, limits: ScriptLimits): NodeScript {
  const { bytes, holes, roomBytes, nonce, startToken } = weaveUpload(command, leaseMsOf(command));
  const upload = gzipSync(bytes, { level: 9 }).toString('base64');
  const lines = [
    [command.runId, nonce, startToken, roomsOf(limits), holes.length, roomBytes].join(' '),
    Buffer.from(remoteCommand(command)).toString('base64'),
    ...holes.map(({ skip, name }) => `${skip} ${name}`),
    ...(upload.match(BASE64_LINE) ?? []),
  ];
  const script: NodeScript = { kind: 'run', lines };
  const size = sizeOf(script, limits.form);
  if (size <= limits.bytesMax) return script;
  throw new RuneError(
    'SSM_COMMAND_TOO_LARGE',
    `The plugin with its parameters is a command of ${size} bytes; over SSM it may have ${limits.bytesMax}.`,
    { node: command.target.name, runId: command.runId },
  );
}
