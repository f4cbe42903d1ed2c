import { setMaxListeners } from 'node:events';
import { progressOf } from './invocation-state.js';
import type { Clock } from './rate-budget.js';
import { SsmFault, type SsmApi, type SsmPage, type SsmStatus } from './ssm-api.js';

/** How often commands are looked at. Times in milliseconds. */
export interface WatchSettings {
  readonly pollFirstMs: number;
  readonly pollMaxMs: number;
  /** How long a command that the service does not show is waited for. */
  readonly findWaitMs: number;
}

/** What the watch works with; `read` is that of SsmAccess. */
export interface WatchOptions {
  readonly read: <Answer>(call: (api: SsmApi) => Promise<Answer>, signal: AbortSignal) => Promise<Answer>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: WatchSettings;
}

/** One command on one instance. */
export interface WatchedCommand {
  readonly commandId: string;
  readonly instanceId: string;
  /** When it was sent at the earliest. */
  readonly sentAt: Date;
}

/** Looks at all commands of one region and identity together. */
export interface CommandWatch {
  /**
   * Resolves once the command is over on its instance; undefined if the service has not shown it in time. `onStatus` hears each status
   * that is seen. Rejects with the SsmFault of a refused request, or with the signal's reason.
   */
  untilOver(
    command: WatchedCommand,
    onStatus: (status: SsmStatus) => void,
    signal: AbortSignal,
  ): Promise<SsmStatus | undefined>;
  close(): void;
}

interface Entry extends WatchedCommand {
  readonly sinceMs: number;
  delayMs: number;
  nextMs: number;
  isBusy: boolean;
  /** The service has shown it. */
  isSeen: boolean;
  /** A look at all commands did not come as far as this one. */
  isAlone: boolean;
  readonly onStatus: (status: SsmStatus) => void;
  readonly settle: (status: SsmStatus | undefined) => void;
  readonly fail: (fault: unknown) => void;
}

/** More commands that are due at a time are looked up together, if that takes fewer requests. */
const SINGLE_MAX = 3;
/** What is due within this time is due now. */
const TOGETHER_MS = 100;
const GROWTH = 1.5;
/** What the clocks of this machine and the service may be apart. */
const CLOCK_SKEW_MS = 300_000;
const PAGE_ITEMS = 50;
const PAGES_MORE = 4;
/** Of one command: its instances fit on one, unless the service gives less than was asked for. */
const PAGES_OF_COMMAND = 4;

/** Makes a watch of no commands. */
export function createCommandWatch({ read, clock, random, settings }: WatchOptions): CommandWatch {
  const entries = new Set<Entry>();
  const stopper = new AbortController();
  setMaxListeners(0, stopper.signal);
  let stopTimer: (() => void) | undefined;
  /** Requests that the last look at all took: who else sent commands since is not known. */
  let pagesOfAll = 0;

  const schedule = (): void => {
    stopTimer?.();
    stopTimer = undefined;
    let nextMs = Infinity;
    for (const entry of entries) if (!entry.isBusy) nextMs = Math.min(nextMs, entry.nextMs);
    if (nextMs === Infinity) return;
    stopTimer = clock.after(Math.max(1, nextMs - clock.now()), look);
  };

  const take = (entry: Entry, status: SsmStatus): void => {
    entry.isSeen = true;
    entry.isAlone = false;
    entry.onStatus(status);
    if (progressOf(status) !== 'over') return;
    entries.delete(entry);
    entry.settle(status);
  };

  const release = (entry: Entry): void => {
    entry.isBusy = false;
    if (!entries.has(entry)) return;
    const nowMs = clock.now();
    entry.nextMs = nowMs + entry.delayMs * (0.75 + random() / 2);
    if (entry.isSeen) entry.delayMs = Math.min(entry.delayMs * GROWTH, settings.pollMaxMs);
  };

  const dismiss = (entry: Entry, fault: unknown): void => {
    if (entries.delete(entry)) entry.fail(fault);
  };

  /** Looks at one command on all its instances that are waited for. */
  const lookAtCommand = async (commandId: string, ours: readonly Entry[]): Promise<void> => {
    const missing = new Map(ours.map((entry) => [entry.instanceId, entry]));
    // Only a look that asks for it alone, and that began when its time was over, can say that it is not there: one at all of them may
    // miss it, and each may wait long for its turn.
    const overMs = clock.now() - settings.findWaitMs;
    let pages = PAGES_OF_COMMAND;
    let nextToken: string | undefined;
    do {
      const token: string | undefined = nextToken;
      const page: SsmPage<SsmStatus> = await read(
        (api) => api.statuses({ commandId }, token),
        stopper.signal,
      );
      for (const status of page.items) {
        const entry = missing.get(status.instanceId);
        if (entry === undefined) continue;
        missing.delete(status.instanceId);
        if (entries.has(entry)) take(entry, status);
      }
      nextToken = page.nextToken;
      pages -= 1;
    } while (nextToken !== undefined && missing.size > 0 && pages > 0);
    if (nextToken !== undefined) return;
    for (const entry of missing.values()) {
      if (!entry.isSeen && entry.sinceMs <= overMs && entries.delete(entry)) entry.settle(undefined);
    }
  };

  const lookAtAll = async (due: readonly Entry[]): Promise<void> => {
    const byKey = new Map([...entries].map((entry) => [keyOf(entry), entry]));
    const missing = new Set(due);
    const sentAfter = new Date(Math.min(...due.map(({ sentAt }) => sentAt.getTime())) - CLOCK_SKEW_MS);
    const pagesMax = Math.ceil(entries.size / PAGE_ITEMS) + PAGES_MORE;
    let nextToken: string | undefined;
    pagesOfAll = 0;
    do {
      const token: string | undefined = nextToken;
      const page: SsmPage<SsmStatus> = await read(
        (api) => api.statuses({ sentAfter }, token),
        stopper.signal,
      );
      for (const status of page.items) {
        const entry = byKey.get(keyOf(status));
        if (entry === undefined || !entries.has(entry)) continue;
        missing.delete(entry);
        take(entry, status);
      }
      nextToken = page.nextToken;
      pagesOfAll += 1;
    } while (nextToken !== undefined && missing.size > 0 && pagesOfAll < pagesMax);
    for (const entry of missing) entry.isAlone = true;
  };

  const lookAt = async (due: readonly Entry[], asking: () => Promise<void>): Promise<void> => {
    for (const entry of due) entry.isBusy = true;
    try {
      await asking();
    } catch (thrown) {
      for (const entry of due) dismiss(entry, thrown);
    }
    for (const entry of due) release(entry);
    schedule();
  };

  const look = (): void => {
    stopTimer = undefined;
    const nowMs = clock.now();
    const free = [...entries].filter(({ isBusy }) => !isBusy);
    const dueIds = new Set(
      free.filter(({ nextMs }) => nextMs <= nowMs + TOGETHER_MS).map(({ commandId }) => commandId),
    );
    // Whoever is looked at costs nothing on the other instances of the same command.
    const commands = [...dueIds].map((id) => free.filter(({ commandId }) => commandId === id));
    const isAlone = (command: readonly Entry[]): boolean => command.some((entry) => entry.isAlone);
    const shared = commands.filter((command) => !isAlone(command));
    const isCheaper = shared.length > Math.max(SINGLE_MAX, Math.ceil(entries.size / PAGE_ITEMS), pagesOfAll);
    const single = isCheaper ? commands.filter(isAlone) : commands;
    for (const command of single) {
      const { commandId } = command[0] as Entry;
      void lookAt(command, () => lookAtCommand(commandId, command));
    }
    if (isCheaper) void lookAt(shared.flat(), () => lookAtAll(shared.flat()));
    schedule();
  };

  return {
    untilOver(command, onStatus, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error);
          return;
        }
        const forget = (): void => signal.removeEventListener('abort', onAbort);
        const onAbort = (): void => dismiss(entry, signal.reason);
        const nowMs = clock.now();
        const entry: Entry = {
          ...command,
          sinceMs: nowMs,
          delayMs: settings.pollFirstMs,
          nextMs: nowMs + settings.pollFirstMs,
          isBusy: false,
          isSeen: false,
          isAlone: false,
          onStatus,
          settle(status) {
            forget();
            resolve(status);
          },
          fail(fault) {
            forget();
            reject(fault);
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        if (entries.size === 0) pagesOfAll = 0;
        entries.add(entry);
        schedule();
      });
    },
    close() {
      stopper.abort(new SsmFault('unknown', 'Closed', 'The transport is closed.'));
      stopTimer?.();
      for (const entry of entries) dismiss(entry, stopper.signal.reason);
    },
  };
}

function keyOf({ commandId, instanceId }: Pick<SsmStatus, 'commandId' | 'instanceId'>): string {
  return `${commandId} ${instanceId}`;
}
