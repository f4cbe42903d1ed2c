import { readFileSync, readdirSync } from 'node:fs';

/**
 * Ids of the living processes (no zombies) whose command line or environment holds `text`, the asking process left out. The
 * mark of a test's processes is a text that stands nowhere else, such as a run id or an odd number of seconds to sleep.
 */
export function findProcesses(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isAlive(pid))
    .filter((pid) => read(pid, 'cmdline').includes(text) || read(pid, 'environ').includes(text));
}

/** Whether a process with this id exists and is no zombie. */
export function isAlive(pid: number): boolean {
  const stat = read(pid, 'stat');
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}

/** The process that started this one, or that took it over; 0 if it is gone. */
export function parentPid(pid: number): number {
  const stat = read(pid, 'stat');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function read(pid: number, file: 'cmdline' | 'environ' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // It ended meanwhile.
  }
}
