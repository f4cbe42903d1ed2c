import { createInterface } from 'node:readline';
import { RuneError } from '../shared/errors.js';
import type { Io } from './io.js';

/** Whether a question makes sense: somebody sees it and can answer. */
export function mayAsk({ stdin, stderr }: Pick<Io, 'stdin' | 'stderr'>, stdinIsUsed: boolean): boolean {
  return stdin.isTTY === true && stderr.terminal && !stdinIsUsed;
}

/** Whether the person types "yes" at a question that was written. Throws CALL_CANCELLED at an interrupt. */
export async function isConfirmed(io: Pick<Io, 'stdin' | 'stderr' | 'interrupts'>): Promise<boolean> {
  const answer = await readLine(io);
  if (answer === undefined) await io.stderr.write('\n');
  return answer?.trim().toLowerCase() === 'yes';
}

/** One line typed by the person; undefined at the end of input. */
function readLine({ stdin, interrupts }: Pick<Io, 'stdin' | 'interrupts'>): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: stdin, terminal: false });
    const stop = () => {
      // Closing is an answer too, so it comes second.
      reject(new RuneError('CALL_CANCELLED', 'Interrupted at the question: nothing was done.'));
      lines.close();
    };
    const settle = (line?: string) => {
      interrupts.first.removeEventListener('abort', stop);
      resolve(line);
      lines.close();
    };
    interrupts.first.addEventListener('abort', stop, { once: true });
    lines.once('line', settle);
    lines.once('close', () => settle());
  });
}
