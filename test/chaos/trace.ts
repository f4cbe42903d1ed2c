import { open, type FileHandle } from 'node:fs/promises';
import type { NamedProcess } from './node-processes.js';

/** What one run wrote on its node. */
export interface Trace {
  /** How often it started. */
  readonly starts: number;
  /** How it said it would end, each time that it came so far. */
  readonly ends: readonly string[];
  /** The plugin's own processes and those that started them, the supervisors. */
  readonly plugins: readonly NamedProcess[];
  readonly supervisorPids: readonly number[];
}

interface Growing {
  starts: number;
  readonly ends: string[];
  readonly plugins: NamedProcess[];
  readonly supervisorPids: number[];
}

/** The file that all plugins append to. */
export interface Traces {
  /** Reads what was appended since. Throws on a line that no plugin writes. */
  refresh(): Promise<void>;
  of(runId: string): Trace;
  runIds(): Iterable<string>;
  close(): Promise<void>;
}

const BLOCK_BYTES = 64 * 1024;
const NOTHING: Trace = { starts: 0, ends: [], plugins: [], supervisorPids: [] };

/** Opens a trace file that exists. */
export async function openTraces(path: string): Promise<Traces> {
  const file: FileHandle = await open(path, 'r');
  const runs = new Map<string, Growing>();
  const block = Buffer.alloc(BLOCK_BYTES);
  let rest = '';
  let reading: Promise<void> = Promise.resolve();

  const note = (line: string): void => {
    const [word, runId = '', ...fields] = line.split(' ');
    const run: Growing = runs.get(runId) ?? { starts: 0, ends: [], plugins: [], supervisorPids: [] };
    runs.set(runId, run);
    if (word === 'start' && fields.length === 3) {
      run.starts += 1;
      run.plugins.push({ pid: Number(fields[0]), startedAt: Number(fields[1]) });
      run.supervisorPids.push(Number(fields[2]));
    } else if (word === 'end' && fields.length === 1) run.ends.push(fields[0] ?? '');
    else throw new Error(`No plugin writes this line: ${JSON.stringify(line)}`);
  };
  const readOn = async (): Promise<void> => {
    for (;;) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES);
      if (bytesRead === 0) return;
      const lines = (rest + block.toString('latin1', 0, bytesRead)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) note(line);
    }
  };
  return {
    refresh: () => (reading = reading.then(readOn)),
    of: (runId) => runs.get(runId) ?? NOTHING,
    runIds: () => runs.keys(),
    close: () => file.close(),
  };
}
