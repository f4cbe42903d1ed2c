import { readFileSync, readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A process id and when it began, in clock ticks since boot: together they name one process for good. */
export interface NamedProcess {
  readonly pid: number;
  readonly startedAt: number;
}

/** A living process. */
export interface SeenProcess extends NamedProcess {
  readonly parent: number;
  /** Its arguments, a NUL behind each. */
  readonly command: string;
}

/** Processes of this machine, as they were within a short time. */
export interface ProcessTable {
  has(process: NamedProcess): boolean;
  get(pid: number): SeenProcess | undefined;
  /** Those whose environment was made for this run. */
  ofRun(runId: string): readonly SeenProcess[];
  /** Those with this text in their environment. */
  withEnvironment(text: string): readonly SeenProcess[];
}

/** Others have their turn after so many: relays must not stand still for long. */
const PROCESSES_A_TURN = 50;
const RUN_ID = /(?:^|\0)RUNE_RUN_ID=([^\0]*)/;

/**
 * Looks at all living processes that began at `since` (clock ticks since boot) or later. One that begins or ends meanwhile may be
 * in it or not.
 */
export async function readProcessTable(since: number): Promise<ProcessTable> {
  const all = new Map<number, SeenProcess>();
  const environments = new Map<SeenProcess, string>();
  for (const [index, entry] of readdirSync('/proc').entries()) {
    if (index % PROCESSES_A_TURN === 0) await nextTurn();
    const pid = Number(entry);
    const seen = Number.isInteger(pid) ? readProcess(pid, since) : undefined;
    if (seen === undefined) continue;
    all.set(pid, seen);
    environments.set(seen, read(pid, 'environ'));
  }
  const byRun = new Map<string, SeenProcess[]>();
  for (const [seen, environment] of environments) {
    const runId = RUN_ID.exec(environment)?.[1];
    if (runId !== undefined) byRun.set(runId, [...(byRun.get(runId) ?? []), seen]);
  }
  return {
    has: ({ pid, startedAt }) => all.get(pid)?.startedAt === startedAt,
    get: (pid) => all.get(pid),
    ofRun: (runId) => byRun.get(runId) ?? [],
    withEnvironment: (text) =>
      [...environments].filter(([, environment]) => environment.includes(text)).map(([seen]) => seen),
  };
}

/** A living process that began at `since` or later, or undefined. */
export function readProcess(pid: number, since = 0): SeenProcess | undefined {
  const stat = read(pid, 'stat');
  const [state = 'X', parent, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = Number(fields[17]);
  if (stat === '' || /[ZX]/.test(state) || startedAt < since) return undefined;
  return { pid, startedAt, parent: Number(parent), command: read(pid, 'cmdline') };
}

/** Every living process below this one. */
export function descendantsOf(pid: number): SeenProcess[] {
  const children = read(pid, `task/${pid}/children`)
    .split(' ')
    .flatMap((text) => (text === '' ? [] : (readProcess(Number(text)) ?? [])));
  return children.flatMap((child) => [child, ...descendantsOf(child.pid)]);
}

/** Sends a signal to exactly this process, if it is still there. */
export function signalProcess({ pid, startedAt }: NamedProcess, signal: NodeJS.Signals): void {
  if (readProcess(pid)?.startedAt !== startedAt) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // It ended.
  }
}
