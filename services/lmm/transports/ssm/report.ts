import { gunzipSync } from 'node:zlib';

/** One output of the plugin with the frames in it: all of it, or its start or its end where it did not fit. */
export interface ReportedOutput {
  readonly bytes: Buffer;
  /** What was printed in all. */
  readonly totalBytes: number;
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
    }
  | { readonly kind: 'unable'; readonly what: string }
  | { readonly kind: 'again' | 'cut' | 'silent' };

/** More than a node ever keeps; a report that unpacks to more is none. */
const UNPACKED_BYTES_MAX = 8 * 1024 * 1024;
const SIZES = String.raw`(\d{1,15}) (\d{1,15}) (plain|gzip) (\d{1,6})`;
const REPORT = new RegExp(`^report (\\d{1,3}) ${SIZES} ${SIZES} ([0-9a-f]{32}) ([0-9a-f]{32}) ?(.*)$`);

/** Reads the two outputs of an invocation as the service gives them. Every field is a claim of the node. */
export function readReport(runId: string, stdout: string, stderr: string): NodeReport {
  const said = wordsOf(runId, stdout);
  if (said === undefined) return { kind: 'silent' };
  if (said.words === 'again') return { kind: 'again' };
  const unable = /^unable (\w{1,16})$/.exec(said.words);
  if (unable !== null) return { kind: 'unable', what: unable[1] as string };
  const fields = REPORT.exec(said.words);
  if (fields === null) return { kind: 'cut' };
  const [, exitCode, ...rest] = fields as unknown as string[];
  const out = unpack(said.rest, rest.slice(0, 4));
  if (out === undefined) return { kind: 'cut' };
  const [nonce = '', startToken = '', end = ''] = rest.slice(8);
  const log = wordsOf(runId, stderr);
  return {
    kind: 'report',
    exitCode: Number(exitCode),
    stdout: out,
    stderr: log?.words === 'log' ? unpack(log.rest, rest.slice(4, 8)) : undefined,
    nonce,
    startToken,
    end,
  };
}

function wordsOf(runId: string, text: string): { words: string; rest: string } | undefined {
  const mark = `RUNE-SSM ${runId} `;
  const at = text.startsWith(mark) ? 0 : text.indexOf(`\n${mark}`) + 1;
  if (at === 0 && !text.startsWith(mark)) return undefined;
  const [words = '', rest = ''] = text.slice(at + mark.length).split('\n', 2);
  return { words, rest };
}

function unpack(text: string, [total, part, kind, length]: readonly string[]): ReportedOutput | undefined {
  const packed = text.trim();
  if (packed.length !== Number(length)) return undefined;
  const raw = Buffer.from(packed, 'base64');
  try {
    const bytes = kind === 'gzip' ? gunzipSync(raw, { maxOutputLength: UNPACKED_BYTES_MAX }) : raw;
    return bytes.length === Number(part) ? { bytes, totalBytes: Number(total) } : undefined;
  } catch {
    // What does not unpack was changed on its way.
    return undefined;
  }
}
