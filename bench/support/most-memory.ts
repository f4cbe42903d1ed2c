import { residentBytes } from '../../test/support/resident-bytes.js';

const SAMPLE_EVERY_MS = 100;

/** The most resident memory that each process had while the work went on, in bytes. The processes must outlive it. */
export async function mostMemory<Name extends string>(
  processes: Readonly<Record<Name, { readonly pid: number }>>,
  work: () => Promise<unknown>,
): Promise<Record<Name, number>> {
  const names = Object.keys(processes) as Name[];
  const most = Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
  const look = (): void => {
    for (const name of names) most[name] = Math.max(most[name], residentBytes(processes[name].pid));
  };
  // What a look finds out of turn is thrown in the end, not into the event loop.
  const timer = setInterval(() => {
    try {
      look();
    } catch {
      clearInterval(timer);
    }
  }, SAMPLE_EVERY_MS);
  try {
    await work();
    look();
    return most;
  } finally {
    clearInterval(timer);
  }
}
