import { readFileSync } from 'node:fs';

const BYTES_A_KIB = 1024;

/** Resident memory of a process now, in bytes. Throws if there is no such process. */
export function residentBytes(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (kib === undefined) throw new Error(`Process ${pid} has no memory of its own.`);
  return Number(kib) * BYTES_A_KIB;
}
