import type { LogLine, LogLines } from '../../shared/gen/rune/v1/run.js';

/** What a line costs on the wire besides its text: even empty ones must not make a batch too large. */
const LINE_OVERHEAD_BYTES = 16;

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
  /** So many bytes before the next line are missing. */
  drop(bytes: number): void;
  /** Passes on what is gathered. */
  flush(): void;
  /** Bytes dropped so far: because of logBytesMax, and before. */
  readonly droppedBytes: number;
}

/** Makes a LogBatcher; `emit` receives each batch and how many bytes the plugin printed of it. */
export function createLogBatcher(
  limits: LogLimits,
  emit: (batch: LogLines, bytes: number) => void,
): LogBatcher {
  let lines: LogLine[] = [];
  let batchBytes = 0;
  let batchCost = 0;
  let passedBytes = 0;
  let droppedBytes = 0;
  let reportedBytes = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines.length === 0) return;
    const batch = { lines, droppedBytes: droppedBytes - reportedBytes };
    const bytes = batchBytes;
    reportedBytes = droppedBytes;
    lines = [];
    batchBytes = 0;
    batchCost = 0;
    emit(batch, bytes);
  };

  return {
    add(line, bytes) {
      if (passedBytes + bytes > limits.logBytesMax) {
        droppedBytes += bytes;
        return;
      }
      passedBytes += bytes;
      const cost = bytes + LINE_OVERHEAD_BYTES;
      if (batchCost > 0 && batchCost + cost > limits.batchBytesMax) flush();
      lines.push(line);
      batchBytes += bytes;
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
