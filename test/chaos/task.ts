import { ACTIONS, type ChaosNode } from './chaos-world.js';
import type { Ending } from './judge.js';
import { seededRandom, type Random } from './random.js';

/** One execution: what is run where, when it is cancelled, if it is, and who else watches it. */
export interface Task {
  readonly action: string;
  readonly nodes: readonly ChaosNode[];
  readonly params: {
    readonly milliseconds: number;
    readonly log_kib: number;
    readonly children: string;
    readonly ending: Ending;
  };
  readonly timeoutMs: number;
  readonly cancelAfterMs: number | undefined;
  /** Watchers besides the caller: each comes so late, and begins at this share of the events that were there by then. */
  readonly watchers: readonly { readonly afterMs: number; readonly fromShare: number }[];
  /** Decides which replica is asked. */
  readonly choices: Random;
}

/** The longest time that any task gets for its plugin. */
export const TASK_TIMEOUT_MS = 20_000;

const SHORT_TIMEOUT_MS = 1_000;
const MILLISECONDS_MAX = 1_500;
const LOG_KIB_MAX = 512;
const NODES_MAX = 8;
const WATCHERS_MAX = 3;
const SEED_MAX = 2 ** 31;

/** Draws the next execution, on so many nodes at most. */
export function drawTask(random: Random, nodes: readonly ChaosNode[], nodesMax: number): Task {
  const outlivesTimeout = random.chance(0.06);
  const isCancelled = random.chance(0.1);
  return {
    action: random.chance(0.3) ? ACTIONS.directory : ACTIONS.stream,
    nodes: random.some(Math.min(random.int(1, NODES_MAX), nodesMax), nodes),
    params: {
      milliseconds: outlivesTimeout ? 2 * TASK_TIMEOUT_MS : random.int(0, MILLISECONDS_MAX),
      log_kib: random.chance(0.2) ? random.int(1, LOG_KIB_MAX) : 0,
      children: random.pick(['none', 'none', 'none', 'plain', 'stubborn', 'escaped']),
      ending: random.pick(['ok', 'ok', 'ok', 'ok', 'fail', 'crash']),
    },
    timeoutMs: outlivesTimeout ? SHORT_TIMEOUT_MS : TASK_TIMEOUT_MS,
    cancelAfterMs: isCancelled ? random.int(0, MILLISECONDS_MAX) : undefined,
    watchers: Array.from({ length: random.int(0, WATCHERS_MAX) }, () => ({
      afterMs: random.int(0, 2 * MILLISECONDS_MAX),
      fromShare: random.int(0, 100) / 100,
    })),
    choices: seededRandom(random.int(0, SEED_MAX)),
  };
}
