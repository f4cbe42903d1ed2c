import { LINE_OVERHEAD_BYTES, writeLine, type LineForm, type LogBatch } from './log-batch.js';

/** Bounds of a run's log. */
export interface LogLimits {
  /** Bytes of log that are passed on; the rest is dropped and counted. */
  readonly logBytesMax: number;
  /** A batch is passed on when it holds this much, … */
  readonly batchBytesMax: number;
  /** … or when its first line is this old. */
  readonly batchAfterMs: number;
}

/** Gathers log lines into batches. */
export interface LogBatcher {
  /** Takes the line `source[from]` to before `source[to]`, of which the plugin printed so many bytes. It is copied. */
  add(source: Buffer, from: number, to: number, form: LineForm, printedBytes: number): void;
  /** So many bytes before the next line are missing. */
  drop(bytes: number): void;
  /** Passes on what is gathered. */
  flush(): void;
  /** Bytes dropped so far: because of logBytesMax, and before. */
  readonly droppedBytes: number;
}

const EMPTY = Buffer.alloc(0);
/** Memory for the first batch, unless its first line needs more. */
const FIRST_BYTES = 512;
/** A batch that leaves more of its memory unused is copied: it may be kept for long. */
const USED_SHARE_MIN = 0.75;

/** Makes a LogBatcher; `emit` receives each batch and how many bytes the plugin printed of it. */
export function createLogBatcher(
  limits: LogLimits,
  emit: (batch: LogBatch, bytes: number) => void,
): LogBatcher {
  let lines: Buffer = EMPTY;
  let length = 0;
  /** What the next batch is likely to need, by the last one. */
  let likelyBytes = FIRST_BYTES;
  let batchBytes = 0;
  let batchCost = 0;
  let passedBytes = 0;
  let droppedBytes = 0;
  let reportedBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  const reserve = (bytes: number): void => {
    if (length + bytes <= lines.length) return;
    const wanted = Math.min(limits.batchBytesMax, Math.max(likelyBytes, 2 * lines.length));
    const larger = Buffer.allocUnsafeSlow(Math.max(length + bytes, wanted));
    lines.copy(larger, 0, 0, length);
    lines = larger;
  };

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (length === 0) return;
    const used = lines.subarray(0, length);
    const isFull = length >= lines.length * USED_SHARE_MIN;
    const batch = { lines: isFull ? used : copyOf(used), droppedBytes: droppedBytes - reportedBytes };
    const bytes = batchBytes;
    reportedBytes = droppedBytes;
    likelyBytes = Math.max(FIRST_BYTES, 2 * length);
    lines = EMPTY;
    length = 0;
    batchBytes = 0;
    batchCost = 0;
    emit(batch, bytes);
  };

  return {
    add(source, from, to, form, printedBytes) {
      if (passedBytes + printedBytes > limits.logBytesMax) {
        droppedBytes += printedBytes;
        return;
      }
      passedBytes += printedBytes;
      const cost = to - from + LINE_OVERHEAD_BYTES;
      if (batchCost > 0 && batchCost + cost > limits.batchBytesMax) flush();
      reserve(cost);
      length = writeLine(lines, length, source, from, to, form);
      batchBytes += printedBytes;
      batchCost += cost;
      if (batchCost >= limits.batchBytesMax) flush();
      else timer ??= setTimeout(flush, limits.batchAfterMs);
    },
    drop(bytes) {
      flush();
      droppedBytes += bytes;
    },
    flush,
    get droppedBytes() {
      return droppedBytes;
    },
  };
}

/** In memory of its own: a slice of memory that others share would keep all of that. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
