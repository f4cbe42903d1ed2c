import { Writable } from 'node:stream';

/** Bytes that may wait for a slow reader of the log; what comes on top is dropped and counted. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Bytes of lines that are given to the target together, at most. */
const TOGETHER_BYTES_MAX = 64 * 1024;
/** How long a flush waits for a slow reader. */
const FLUSH_TIMEOUT_MS = 2_000;

/** A bounded way to a stream that may be slow or closed. */
export interface LogSink {
  readonly stream: Writable;
  /** Resolves when everything was taken by the stream, the stream is closed, or two seconds have passed. */
  flush(): Promise<void>;
}

/**
 * Makes a sink in front of `target`. A line is given to the target whole or not at all; nobody ever waits for it. The lines of one
 * turn of the event loop go together, since each by itself would cost a call of the system.
 */
export function createLogSink(target: Writable): LogSink {
  let closed = false;
  let dropped = 0;
  let together: NodeJS.Immediate | undefined;
  const onGone = (): void => {
    closed = true;
  };
  // Without a listener, a reader of the log that goes away would end the process.
  target.on('error', onGone);
  target.on('close', onGone);

  const release = (): void => {
    clearImmediate(together);
    together = undefined;
    target.uncork();
  };
  const gather = (): void => {
    if (together !== undefined && target.writableLength >= TOGETHER_BYTES_MAX) release();
    if (together !== undefined) return;
    target.cork();
    together = setImmediate(release);
  };

  const stream = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      gather();
      if (!closed && target.writableLength < WAITING_BYTES_MAX) {
        if (dropped > 0) target.write(droppedLine(dropped));
        dropped = 0;
        target.write(line);
      } else {
        dropped += 1;
      }
      done();
    },
  });
  return {
    stream,
    flush: () =>
      new Promise<void>((resolve) => {
        if (closed) return resolve();
        const timer = setTimeout(resolve, FLUSH_TIMEOUT_MS);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        target.once('close', done);
        target.write(dropped > 0 ? droppedLine(dropped) : '', () => {
          target.removeListener('close', done);
          done();
        });
        dropped = 0;
      }),
  };
}

function droppedLine(dropped: number): string {
  return `${JSON.stringify({ time: new Date().toISOString(), level: 'warn', message: 'log lines were dropped', dropped })}\n`;
}
