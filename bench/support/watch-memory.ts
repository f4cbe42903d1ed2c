import { readFileSync } from 'node:fs';

const SAMPLE_EVERY_MS = 100;
const BYTES_A_KIB = 1024;

/** Resident memory of a process now, in bytes. */
export function residentBytes(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  if (kib === undefined) throw new Error(`Process ${pid} has no memory of its own.`);
  return Number(kib) * BYTES_A_KIB;
}

/** Watches the resident memory of a process from now on; the function ends it and tells the most that was seen, in bytes. */
export function watchMemory(pid: number): () => number {
  let most = residentBytes(pid);
  const timer = setInterval(() => (most = Math.max(most, residentBytes(pid))), SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    return Math.max(most, residentBytes(pid));
  };
}
