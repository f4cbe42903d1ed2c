import type { PluginEnd } from './transport.js';

/** A word of the node, taken out of a stream. Every field is a claim: whoever reads the nonce on the node can forge it. */
export type Frame =
  | { readonly word: 'begin' }
  | UnmetFrame
  | { readonly word: 'started' }
  | { readonly word: 'stopping'; readonly reason: NodeStopReason }
  | {
      readonly word: 'end';
      readonly end: PluginEnd;
      /** Nothing of the plugin is alive. */
      readonly confirmed: boolean;
      /** Processes alive after the plugin's own end. */
      readonly left: number;
      readonly reason: NodeStopReason | undefined;
    };

/** The node lacks something that the plugin requires; nothing begins there. */
export interface UnmetFrame {
  readonly word: 'unmet';
  /** For each required command whether it is missing. */
  readonly commandsMissing: readonly boolean[];
  readonly isOsMet: boolean;
  /** ID and VERSION_ID of os-release, cut to what a name may hold; "-" if it has none. */
  readonly osId: string;
  readonly osVersion: string;
}

/** Why the node ended a plugin: its time was over, a word came, the lease ended, or nobody spoke for the lease's time. */
export type NodeStopReason = 'timeout' | 'cancel' | 'cut' | 'lease';

/** Takes one stream of a node apart; see createFrameDecoder. */
export interface FrameDecoder {
  push(chunk: Buffer): void;
  /** The stream has ended: what was held back is the plugin's. */
  finish(): void;
  /** The end of what came before `begin`, at most JUNK_BYTES_MAX: what login files or a failing shell printed. */
  junk(): Buffer;
}

/** What a decoder needs. Both callbacks are called while push runs, in the order of the stream. */
export interface FrameDecoderOptions {
  readonly nonce: string;
  /** Only on the stream that carries `started`. */
  readonly startToken?: string;
  readonly onBytes: (bytes: Buffer) => void;
  readonly onFrame: (frame: Frame) => void;
}

/** A frame is never longer; longer is not a frame. */
const FRAME_BYTES_MAX = 160;
const JUNK_BYTES_MAX = 4096;
/** Opens a frame. No text ends with it, so that a line of the plugin is never held back for what may follow. */
const RECORD_SEPARATOR = '\x1e';
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);
const END = /^end (?:exit (\d{1,3})|signal (\w{1,16})) (yes|no) (\d{1,7}) (timeout|cancel|cut|lease|none)$/;
const UNMET = /^unmet =([01]{0,64}) (yes|no) ([\w.-]{1,16}) ([\w.-]{1,16})$/;
const STOPPING = /^stopping (timeout|cancel|cut|lease)$/;

/**
 * Takes exactly the frames `RS nonce SPACE words NEWLINE` out of a stream, wherever they stand and however it is cut into
 * chunks, and gives every other byte on. Before `begin` nothing is given on, after `end` nothing either. A frame whose words
 * or order are wrong is the plugin's bytes. At most FRAME_BYTES_MAX bytes are ever held back.
 */
export function createFrameDecoder(options: FrameDecoderOptions): FrameDecoder {
  const mark = Buffer.from(`${RECORD_SEPARATOR}${options.nonce} `);
  const startMark =
    options.startToken === undefined
      ? undefined
      : Buffer.from(`${RECORD_SEPARATOR}${options.startToken} started\n`);
  let state: 'before' | 'running' | 'over' = 'before';
  let startable = startMark;
  let held: Buffer = NOTHING;
  let junk: Buffer = NOTHING;

  const give = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    if (state === 'running') options.onBytes(bytes);
    else if (state === 'before') {
      junk = Buffer.concat([junk, bytes.subarray(-JUNK_BYTES_MAX)]).subarray(-JUNK_BYTES_MAX);
    }
  };

  const push = (chunk: Buffer): void => {
    if (state === 'over') return;
    const data = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    held = NOTHING;
    let from = 0;
    // Where to look on: behind the opening of what turned out to be no frame.
    let look = 0;
    for (;;) {
      const at = data.indexOf(mark, look);
      const startAt = startable !== undefined && state === 'running' ? data.indexOf(startable, look) : -1;
      if (startable !== undefined && startAt !== -1 && (at === -1 || startAt < at)) {
        give(data.subarray(from, startAt));
        from = look = startAt + startable.length;
        startable = undefined;
        options.onFrame({ word: 'started' });
        continue;
      }
      if (at === -1) break;
      const newline = data.indexOf(NEWLINE, at);
      if (newline === -1 && data.length - at < FRAME_BYTES_MAX) {
        give(data.subarray(from, at));
        held = data.subarray(at);
        return;
      }
      const isShort = newline !== -1 && newline - at < FRAME_BYTES_MAX;
      const frame = isShort ? parse(data.toString('latin1', at + mark.length, newline)) : undefined;
      const isFirst = frame?.word === 'begin' || frame?.word === 'unmet';
      if (frame !== undefined && isFirst === (state === 'before')) {
        give(data.subarray(from, at));
        state = frame.word === 'end' || frame.word === 'unmet' ? 'over' : 'running';
        options.onFrame(frame);
        if (state === 'over') return;
        from = look = newline + 1;
      } else look = at + mark.length;
    }
    const keep = openingAtEnd(data, Math.max(from, look), mark, state === 'running' ? startable : undefined);
    give(data.subarray(from, data.length - keep));
    held = data.subarray(data.length - keep);
  };

  return {
    push,
    finish: () => {
      give(held);
      held = NOTHING;
    },
    junk: () => junk,
  };
}

function parse(words: string): Frame | undefined {
  if (words === 'begin') return { word: 'begin' };
  const stopping = STOPPING.exec(words);
  if (stopping !== null) return { word: 'stopping', reason: stopping[1] as NodeStopReason };
  const unmet = UNMET.exec(words);
  if (unmet !== null) {
    const [, bits = '', met, osId = '', osVersion = ''] = unmet;
    const commandsMissing = Array.from(bits, (bit) => bit === '1');
    return { word: 'unmet', commandsMissing, isOsMet: met === 'yes', osId, osVersion };
  }
  const end = END.exec(words);
  if (end === null) return undefined;
  const [, exitCode, signal, confirmed, left, reason] = end;
  return {
    word: 'end',
    end: signal === undefined ? { exitCode: Number(exitCode) } : { signal },
    confirmed: confirmed === 'yes',
    left: Number(left),
    reason: reason === 'none' ? undefined : (reason as NodeStopReason),
  };
}

/** How many bytes at the end of data, not before `from`, may be the opening of a frame. */
function openingAtEnd(data: Buffer, from: number, ...marks: (Buffer | undefined)[]): number {
  let keep = 0;
  for (const mark of marks) {
    if (mark === undefined) continue;
    // Only the last separator can open a frame: a mark holds no second one.
    const at = data.lastIndexOf(RECORD_SEPARATOR.charCodeAt(0));
    if (at < from || data.length - at >= mark.length) continue;
    if (data.compare(mark, 0, data.length - at, at) === 0) keep = Math.max(keep, data.length - at);
  }
  return keep;
}
