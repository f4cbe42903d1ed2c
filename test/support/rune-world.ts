import type { ScriptedLom } from './scripted-lom.js';
import { scriptedLoms } from './scripted-loms.js';
import { type RuneProcess, spawnRune, spawnRuneOnTerminal } from './spawn-rune.js';

/** What a `rune` process has left behind. */
export interface RuneEnding {
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

/** The installed command line and the LOMs that it speaks to. */
export interface RuneWorld {
  readonly lomOf: ReturnType<typeof scriptedLoms>;
  readonly start: typeof spawnRune;
  readonly startOnTerminal: typeof spawnRuneOnTerminal;
  /** Runs `rune` to its end. */
  rune(args: readonly string[], options?: Parameters<typeof spawnRune>[1]): Promise<RuneEnding>;
  /** Runs `rune run tail-log` on web01. */
  run(lom: ScriptedLom, ...more: string[]): Promise<RuneEnding>;
}

/** Makes a world of which nothing is left after each test. To be called in a `describe`. */
export function runeWorld(): RuneWorld {
  const processes: RuneProcess[] = [];
  afterEach(() => {
    for (const { child } of processes.splice(0)) child.kill('SIGKILL');
  });
  const lomOf = scriptedLoms();
  const kept = (process: RuneProcess): RuneProcess => {
    processes.push(process);
    return process;
  };
  const rune: RuneWorld['rune'] = async (args, options) => {
    const process = kept(spawnRune(args, options));
    const code = await process.exited;
    return { code, out: process.out(), err: process.err() };
  };
  return {
    lomOf,
    start: (args, options) => kept(spawnRune(args, options)),
    startOnTerminal: (args, options) => kept(spawnRuneOnTerminal(args, options)),
    rune,
    run: (lom, ...more) => rune(['run', 'tail-log', '--node', 'web01', '--server', lom.address, ...more]),
  };
}
