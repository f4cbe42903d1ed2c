import { RuneError, type ErrorName } from '../../shared/errors.js';
import type { MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import type { PluginEnd } from '../transports/transport.js';

/** What of a wrong answer is kept, in bytes. */
const EVIDENCE_BYTES_MAX = 4096;

/** What a plugin printed, and how it ended. */
export interface PluginRecord {
  readonly stdout: Buffer;
  /** The start of standard error: at most the protocol's stderrBytesMax. */
  readonly stderr: Buffer;
  /** There was more of standard error. */
  readonly stderrTruncated: boolean;
  readonly end: PluginEnd;
  readonly dryRunAsked: boolean;
}

/** What a plugin's answer means. `output` is the result, parsed and as JSON text. */
export interface PluginAnswer {
  readonly output: { readonly json: string; readonly value: Record<string, unknown> } | undefined;
  readonly dryRun: boolean;
  /** Undefined for success. */
  readonly error: RuneError | undefined;
}

/** How a plugin gets what it works with, and how its answer is read. */
export interface PluginProtocol {
  /** Bytes of standard error that its answer is made of. */
  readonly stderrBytesMax: number;
  /** What the plugin reads on stdin; the JSON texts of `start` were checked. */
  input(start: MediateStart, header: RcsHeader): Buffer;
  /** Variables of the plugin. Throws FIELD_MALFORMED for parameters that cannot be variables. */
  environment(start: MediateStart): Readonly<Record<string, string>>;
  decode(record: PluginRecord): PluginAnswer;
}

/** The first bytes of what a plugin printed, as text that is safe to keep: never more than 4 KiB. */
export function evidenceOf(stdout: Buffer): string {
  return stdout.subarray(0, EVIDENCE_BYTES_MAX).toString();
}

/** An answer that breaks its protocol; what was printed is kept as evidence. */
export function violation(name: ErrorName, message: string, stdout: Buffer): PluginAnswer {
  return {
    output: undefined,
    dryRun: false,
    error: new RuneError(name, message, { evidence: evidenceOf(stdout) }),
  };
}

/** Whether the value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of a JSON text, or undefined if it is none. */
export function parsedJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    // Not JSON is one of the answers asked for here.
    return undefined;
  }
}
