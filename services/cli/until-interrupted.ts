import { RuneError } from '../shared/errors.js';
import type { Interrupts } from './io.js';

/**
 * What `work` answers, unless the first interrupt comes before; then throws CALL_CANCELLED at once, also where the work hangs
 * in the operating system. Only for work before anything runs.
 */
export async function untilInterrupted<T>(
  { first }: Pick<Interrupts, 'first'>,
  work: Promise<T>,
): Promise<T> {
  let stop: () => void = () => undefined;
  const interrupted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new RuneError('CALL_CANCELLED', 'Interrupted: nothing ran.'));
    if (first.aborted) stop();
    else first.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, interrupted]);
  } finally {
    first.removeEventListener('abort', stop);
  }
}
