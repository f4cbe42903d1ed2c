import { readdirSync, readlinkSync } from 'node:fs';
import { parentPid } from '../processes.js';
import { MARK_DESCRIPTOR } from './run-script.js';

/**
 * Ids of the processes that hold a mark open, a file or any file below a directory, and of all that they started: sudo closes
 * what it inherits.
 */
export function findMarked(mark: string): number[] {
  const all = readdirSync('/proc').map(Number).filter(Number.isInteger);
  const found = new Set(all.filter((pid) => holds(pid, mark)));
  if (found.size === 0) return [];
  const parents = new Map(all.map((pid) => [pid, parentPid(pid)]));
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

/** SIGKILL to all of them. */
export function killMarked(mark: string): void {
  for (const pid of findMarked(mark)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}

function holds(pid: number, mark: string): boolean {
  try {
    const path = readlinkSync(`/proc/${pid}/fd/${MARK_DESCRIPTOR}`);
    return path === mark || path.startsWith(`${mark}/`);
  } catch {
    return false; // It has no such descriptor, or it ended.
  }
}
