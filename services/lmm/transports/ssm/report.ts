import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';

/** One output of the plugin with the frames in it: all of it, or its start or its end where it did not fit. */
export interface ReportedOutput {
  readonly bytes: Buffer;
  /** What was printed in all. */
  readonly totalBytes: number;
  /** SHA-256 of all of it, if the node has printed that as well, behind the report. */
  readonly wholeDigest?: string;
}

/** A reference that could not be looked up: which one, and what was said about it. */
export interface UnfilledHole {
  readonly index: number;
  readonly words: string;
}

/**
 * What a script said about its run. `report`: how it ended. `again`: the agent started the script once more, and what became of
 * the first time is unknown. `unable`: nothing ran, for want of `what`. `cut`: a part of the report is missing. `silent`: nothing.
 */
export type NodeReport =
  | {
      readonly kind: 'report';
      /** Exit code of the remote command. */
      readonly exitCode: number;
      readonly stdout: ReportedOutput;
      /** Its end, where it did not fit. */
      readonly stderr: ReportedOutput | undefined;
      readonly nonce: string;
      readonly startToken: string;
      /** Words of the frame `end`; empty without one. */
      readonly end: string;
      /** Why an output that did not fit could not be had from its bucket, in words. */
      readonly wholeMissing?: string;
    }
  | { readonly kind: 'unable'; readonly what: string; readonly hole?: UnfilledHole }
  | { readonly kind: 'again' | 'cut' | 'silent' };

/** More than fits into an invocation is never unpacked to more; a report that does is none. */
const UNPACKED_BYTES_MAX = 8 * 1024 * 1024;
const SIZES = String.raw`(\d{1,15}) (\d{1,15}) (plain|gzip) (\d{1,6}) ([0-9a-f]{64}|-)`;
const UNABLE = /^unable (\w{1,32})(?: (\d) ?([\w+/=]{0,600}))?$/;
const REPORT = new RegExp(`^report (\\d{1,3}) ${SIZES} ${SIZES} ([0-9a-f]{32}) ([0-9a-f]{32}) ?(.*)$`);

/** Reads the two outputs of an invocation as the service gives them. Every field is a claim of the node. */
export function readReport(runId: string, stdout: string, stderr: string): NodeReport {
  // A script for many instances says `-` where it has no run for this one.
  const said = wordsOf(runId, stdout) ?? wordsOf('-', stdout);
  if (said === undefined) return { kind: 'silent' };
  if (said.words === 'again') return { kind: 'again' };
  const unable = UNABLE.exec(said.words);
  if (unable !== null) {
    const [, what = '', index, words = ''] = unable;
    const hole = { index: Number(index), words: Buffer.from(words, 'base64').toString().trim() };
    return index === undefined ? { kind: 'unable', what } : { kind: 'unable', what, hole };
  }
  const fields = REPORT.exec(said.words);
  if (fields === null) return { kind: 'cut' };
  const [, exitCode, ...rest] = fields as unknown as string[];
  const out = unpack(said.rest, rest.slice(0, 5));
  if (out === undefined) return { kind: 'cut' };
  const [nonce = '', startToken = '', end = ''] = rest.slice(10);
  const log = wordsOf(runId, stderr);
  return {
    kind: 'report',
    exitCode: Number(exitCode),
    stdout: out,
    stderr: log?.words === 'log' ? unpack(log.rest, rest.slice(5, 10)) : undefined,
    nonce,
    startToken,
    end,
  };
}

/**
 * The whole of an output out of all that the script printed there; undefined if it is not there, or not what the report has the
 * digest of.
 */
export function readWhole(runId: string, text: string, output: ReportedOutput): ReportedOutput | undefined {
  const said = wordsOf(`${runId} whole`, text);
  const { totalBytes, wholeDigest } = output;
  const bytes = said && unpackBytes(said.rest.trim(), said.words, totalBytes);
  if (bytes?.length !== totalBytes) return undefined;
  const digest = createHash('sha256').update(bytes).digest('hex');
  return digest === wholeDigest ? { ...output, bytes } : undefined;
}

function wordsOf(about: string, text: string): { words: string; rest: string } | undefined {
  const mark = `RUNE-SSM ${about} `;
  const at = text.startsWith(mark) ? 0 : text.indexOf(`\n${mark}`) + 1;
  if (at === 0 && !text.startsWith(mark)) return undefined;
  const [words = '', rest = ''] = text.slice(at + mark.length).split('\n', 2);
  return { words, rest };
}

function unpack(text: string, fields: readonly string[]): ReportedOutput | undefined {
  const [total, part, kind = '', length, digest = '-'] = fields;
  const packed = text.trim();
  if (packed.length !== Number(length)) return undefined;
  const bytes = unpackBytes(packed, kind, UNPACKED_BYTES_MAX);
  if (bytes?.length !== Number(part)) return undefined;
  return { bytes, totalBytes: Number(total), ...(digest === '-' ? {} : { wholeDigest: digest }) };
}

function unpackBytes(packed: string, kind: string, bytesMax: number): Buffer | undefined {
  const raw = Buffer.from(packed, 'base64');
  if (kind !== 'gzip') return raw;
  try {
    return gunzipSync(raw, { maxOutputLength: Math.max(1, bytesMax) });
  } catch {
    // What does not unpack was changed on its way.
    return undefined;
  }
}
