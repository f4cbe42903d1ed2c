import type { Readable, Writable } from 'node:stream';

/** Where text goes: standard output or standard error. */
export interface Output {
  readonly terminal: boolean;
  /** Width in columns and height in rows; of a usual terminal where there is none. */
  size(): { columns: number; rows: number };
  /** Aborted once the reader has gone (`| head -1`); what is written after that is dropped. */
  readonly closed: AbortSignal;
  /** Resolves when the reader has kept up, or has gone. Never rejects. */
  write(text: string): Promise<void>;
}

/** Ctrl-C and SIGTERM: the first asks to stop in good order, the second to leave at once. */
export interface Interrupts {
  readonly first: AbortSignal;
  readonly second: AbortSignal;
}

/** Everything of the outside world that a command touches. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly interrupts: Interrupts;
  /** Unix milliseconds. */
  nowMs(): number;
}

const USUAL_SIZE = { columns: 100, rows: 24 };

/** A stream of the process as an Output. A reader that goes away is not an error; any other write error closes it too. */
export function createOutput(
  stream: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number },
): Output {
  const closing = new AbortController();
  stream.on('error', () => closing.abort());
  return {
    terminal: stream.isTTY === true,
    size: () => ({
      // A terminal that was never told its size says 0.
      columns: stream.columns || USUAL_SIZE.columns,
      rows: stream.rows || USUAL_SIZE.rows,
    }),
    closed: closing.signal,
    write: (text) =>
      new Promise((resolve) => {
        if (closing.signal.aborted || text === '') return resolve();
        // The callback comes for every write, also for one that failed, so a reader that goes away cannot leave us waiting.
        stream.write(text, () => resolve());
      }),
  };
}

/** Whether text on this output may be dressed: a terminal, not a dumb one, and NO_COLOR is not set. */
export function mayColour(output: Output, env: Io['env']): boolean {
  return output.terminal && env['TERM'] !== 'dumb' && (env['NO_COLOR'] ?? '') === '';
}
