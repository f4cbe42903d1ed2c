import { residentBytes } from '../../test/support/resident-bytes.js';

const SAMPLE_EVERY_MS = 100;

/** Watches the resident memory of a process from now on; the function ends it and tells the most that was seen, in bytes. */
export function watchMemory(pid: number): () => number {
  let most = residentBytes(pid);
  const timer = setInterval(() => (most = Math.max(most, residentBytes(pid))), SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    return Math.max(most, residentBytes(pid));
  };
}
