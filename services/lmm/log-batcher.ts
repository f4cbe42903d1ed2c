import type { LogLine, LogLines } from '../shared/gen/rune/v1/run.js';

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
  add(line: LogLine, bytes: number): void;
  /** Passes on what is gathered. */
  flush(): void;
  /** Settles when the receiver of the last batch has room; undefined if it has. */
  readonly backpressure: Promise<void> | undefined;
  /** Bytes dropped so far because of logBytesMax. */
  readonly droppedBytes: number;
}

/** Makes a LogBatcher; `emit` receives each batch and may return a promise to hold back the source. */
export function createLogBatcher(
  limits: LogLimits,
  emit: (batch: LogLines) => Promise<void> | undefined,
): LogBatcher {
  let lines: LogLine[] = [];
  let batchBytes = 0;
  let passedBytes = 0;
  let droppedBytes = 0;
  let reportedBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let backpressure: Promise<void> | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines.length === 0) return;
    const batch = { lines, droppedBytes: droppedBytes - reportedBytes };
    reportedBytes = droppedBytes;
    lines = [];
    batchBytes = 0;
    const waiting = emit(batch);
    backpressure = waiting;
    void waiting?.then(() => {
      if (backpressure === waiting) backpressure = undefined;
    });
  };

  return {
    add(line, bytes) {
      if (passedBytes + bytes > limits.logBytesMax) {
        droppedBytes += bytes;
        return;
      }
      passedBytes += bytes;
      if (batchBytes > 0 && batchBytes + bytes > limits.batchBytesMax) flush();
      lines.push(line);
      batchBytes += bytes;
      if (batchBytes >= limits.batchBytesMax) flush();
      else timer ??= setTimeout(flush, limits.batchAfterMs);
    },
    flush,
    get backpressure() {
      return backpressure;
    },
    get droppedBytes() {
      return droppedBytes;
    },
  };
}
