import type { Output } from '../io.js';
import { fitWidth } from '../render/fit-width.js';

/** Lines at the bottom of a terminal that are redrawn in place; text printed through it scrolls above them. */
export interface LiveRegion {
  /** Prints lines for good. */
  print(text: string): Promise<void>;
  /** Lets `write` write to the same terminal by another way, with the region out of sight. */
  aside(write: () => Promise<void>): Promise<void>;
  /** Takes the region away for good. */
  close(): Promise<void>;
}

const REDRAW_MS = 200;

/** A region that shows what `lines` answers, at most five times a second; on anything but a terminal it shows nothing. */
export function createLiveRegion(options: {
  readonly output: Output;
  readonly enabled: boolean;
  lines(): readonly string[];
  dress(line: string): string;
}): LiveRegion {
  const { output, enabled, lines, dress } = options;
  if (!enabled) {
    return { print: (text) => output.write(text), aside: (write) => write(), close: () => Promise.resolve() };
  }
  let drawn = 0;
  let closed = false;
  let aside = false;
  let shown = '';

  const erase = () => (drawn === 0 ? '' : `\r\x1b[${drawn}A\x1b[J`);
  const draw = () => {
    const { columns, rows } = output.size();
    // A region taller than the screen could not be erased again.
    const fitting = closed || aside ? [] : lines().slice(0, Math.max(1, rows - 2));
    drawn = fitting.length;
    shown = fitting.map((line) => `${dress(fitWidth(line, columns - 1))}\n`).join('');
    return shown;
  };
  const refresh = () => {
    const [before, remove] = [shown, erase()];
    const next = draw();
    if (next !== before) void output.write(remove + next);
  };
  const timer = setInterval(refresh, REDRAW_MS);
  timer.unref();

  return {
    print: (text) => output.write(erase() + text + draw()),
    async aside(write) {
      const remove = erase();
      aside = true;
      draw();
      await output.write(remove);
      await write();
      aside = false;
      await output.write(draw());
    },
    async close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      await output.write(erase());
      drawn = 0;
    },
  };
}
