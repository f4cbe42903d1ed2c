import { readFileSync } from 'node:fs';

/** What Linux counts processor time in. */
const MS_A_TICK = 10;

/** Processor time that a process has used so far, its own and the kernel's for it, in milliseconds. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_A_TICK;
}
