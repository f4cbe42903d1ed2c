import { isUtf8 } from 'node:buffer';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { LmmServiceService, MediateResponse } from '../../shared/gen/rune/v1/lmm.js';
import { LogLines } from '../../shared/gen/rune/v1/run.js';

/** A batch of log as the bytes of its message, LogLines: LOM passes it on as it came. */
export interface EncodedLog {
  readonly bytes: Buffer;
  /** Bytes of its text, with a newline for each line. */
  readonly textBytes: number;
}

type Event = NonNullable<MediateResponse['event']>;

/** What a mediator says of a run, as LOM takes it. */
export interface MediatedMessage extends Pick<MediateResponse, 'eventNo' | 'at'> {
  readonly event:
    Exclude<Event, { $case: 'log' }> | { readonly $case: 'log'; readonly value: EncodedLog } | undefined;
}

/** LmmService as LOM calls it. */
export const MEDIATOR_SERVICE = {
  ...LmmServiceService,
  mediate: { ...LmmServiceService.mediate, responseDeserialize: decodeMediated },
} as const;

/** Tags of fields: MediateResponse.log, LogLines.lines and .dropped_bytes, LogLine.text and .raw. */
const LOG = 0x3a;
const LINES = 0x0a;
const DROPPED_BYTES = 0x10;
const TEXT = 0x0a;
const RAW = 0x12;
/** Of LogLine.stream, .truncated and .level, which are numbers. */
const NUMBERS: readonly number[] = [0x18, 0x20, 0x28];

/** Reads a MediateResponse. Throws if it is malformed. */
export function decodeMediated(bytes: Buffer): MediatedMessage {
  const parts = splitLog(bytes);
  const head = MediateResponse.decode(parts?.head ?? bytes);
  if (parts === undefined || head.event !== undefined)
    return withEncodedLog(parts === undefined ? head : MediateResponse.decode(bytes));
  const { eventNo, at } = head;
  return { eventNo, at, event: { $case: 'log', value: encodedLog(parts.log) } };
}

function withEncodedLog({ eventNo, at, event }: MediateResponse): MediatedMessage {
  if (event?.$case !== 'log') return { eventNo, at, event };
  return { eventNo, at, event: { $case: 'log', value: encodeLog(event.value) } };
}

/** The log of a message that has it as its last field, as mediators write it, and what is before it. */
function splitLog(bytes: Buffer): { readonly head: Buffer; readonly log: Buffer } | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const tag = reader.uint32();
    if (tag === LOG) {
      const length = reader.uint32();
      if (reader.pos + length !== bytes.length) return undefined;
      return { head: bytes.subarray(0, start), log: bytes.subarray(reader.pos) };
    }
    reader.skip(tag & 7, tag >>> 3);
  }
  return undefined;
}

/** These bytes of a LogLines, or another LogLines that means the same where they hold what nobody could read everywhere. */
function encodedLog(bytes: Buffer): EncodedLog {
  const textBytes = textBytesOf(bytes);
  return textBytes === undefined ? encodeLog(LogLines.decode(bytes)) : { bytes, textBytes };
}

/** The first lines of a batch, as many as have so many bytes of text, and what was dropped before them; undefined if not even one has. */
export function firstLines(log: EncodedLog, textBytesMax: number): EncodedLog | undefined {
  const { lines, droppedBytes } = LogLines.decode(log.bytes);
  let textBytes = 0;
  const end = lines.findIndex(({ content }) => {
    textBytes += Buffer.byteLength(content?.value ?? '') + 1;
    return textBytes > textBytesMax;
  });
  if (end === 0) return undefined;
  return end < 0 ? log : encodeLog({ lines: lines.slice(0, end), droppedBytes });
}

/** A batch of log as bytes. */
function encodeLog(log: LogLines): EncodedLog {
  const bytes = Buffer.from(LogLines.encode(log).finish());
  return { bytes, textBytes: textBytesOf(bytes) ?? 0 };
}

/** Undefined for bytes that are no LogLines, have fields that are not known here, or a text that is not UTF-8. */
function textBytesOf(bytes: Buffer): number | undefined {
  const reader = new BinaryReader(bytes);
  let textBytes = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === DROPPED_BYTES) {
      reader.skip(tag & 7);
      continue;
    }
    if (tag !== LINES) return undefined;
    const length = reader.uint32();
    const end = reader.pos + length;
    textBytes += 1;
    while (reader.pos < end) {
      const field = reader.uint32();
      if (field === TEXT || field === RAW) {
        const contentLength = reader.uint32();
        const start = reader.pos;
        reader.pos += contentLength;
        if (reader.pos > end || (field === TEXT && !isUtf8(bytes.subarray(start, reader.pos))))
          return undefined;
        textBytes += contentLength;
      } else if (NUMBERS.includes(field)) reader.uint32();
      else return undefined;
    }
    if (reader.pos !== end) return undefined;
  }
  return reader.pos === reader.len ? textBytes : undefined;
}
