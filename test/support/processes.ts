import { readFileSync, readdirSync } from 'node:fs';

/** A living process with its command line and environment, as far as they may be read. */
export interface SeenProcess {
  readonly pid: number;
  readonly text: string;
}

/** Every living process but the asking one; no zombies. To look for many marks, look at the machine's processes once. */
export function seeProcesses(): SeenProcess[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && isAlive(pid))
    .map((pid) => ({ pid, text: `${read(pid, 'cmdline')}\0\0${read(pid, 'environ')}` }));
}

/**
 * Ids of the processes whose command line or environment holds `text`. The mark of a test's processes is a text that stands
 * nowhere else, such as a run id or an odd number of seconds to sleep.
 */
export function findProcesses(text: string, among: readonly SeenProcess[] = seeProcesses()): number[] {
  return among.filter((each) => each.text.includes(text)).map(({ pid }) => pid);
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
