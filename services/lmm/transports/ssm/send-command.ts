import { RuneError } from '../../../shared/errors.js';
import { refusalError, unavailableError } from './fault-error.js';
import { pause, type SsmAccess } from './ssm-access.js';
import type { Clock } from './rate-budget.js';
import { SsmFault, type SsmCommand, type SsmPage, type SsmListedCommand } from './ssm-api.js';

/** Limits of sending. Times in milliseconds. */
export interface SendSettings {
  readonly sendWaitMs: number;
  readonly findWaitMs: number;
}

/** What a command was sent for. */
export interface SendAbout {
  readonly node: string;
  readonly runId: string;
}

/** A command that was sent, or that may have been and cannot be found: then `commandId` is undefined. */
export interface SentCommand {
  readonly commandId: string | undefined;
  readonly sentAt: Date;
}

/** A command, and how it is known among all that the service lists for its first instance. */
export interface LoadedCommand {
  readonly command: SsmCommand;
  readonly isIt: (listed: SsmListedCommand) => boolean;
}

/** What is sent, as it is at each try. */
export interface Parcel {
  /** The command of this try, whose fate is unknown from now on; undefined once there is nothing left to send. */
  load(): LoadedCommand | undefined;
  /** The service certainly did not take it. */
  unload(): void;
}

/** Why nothing was sent: it was stopped before, its time was over, or the service refused it. */
export type Unsent =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'too-late'; readonly fault: SsmFault | undefined }
  | { readonly kind: 'refused'; readonly fault: SsmFault };

/** How sending ended. */
export type Sending = { readonly kind: 'sent'; readonly sent: SentCommand } | Unsent;

/** What sending works with; `stop` ends it between two tries. */
export interface SendOptions {
  readonly settings: SendSettings;
  readonly clock: Clock;
  readonly stop: AbortSignal;
}

const THROTTLED_PAUSE_MS = 500;
const THROTTLED_PAUSE_MS_MAX = 5_000;
const FIND_PAUSE_MS = 500;
const FIND_PAUSE_MS_MAX = 5_000;
const FIND_PAGES_MAX = 40;
/** What the last look may wait for its turn among all requests. */
const FIND_TURN_WAIT_MS = 600_000;
/** What the clocks of this machine and the service may be apart. */
const CLOCK_SKEW_MS = 300_000;

/**
 * Sends a parcel once. Only what certainly was not accepted is sent again; after an answer that says nothing, its command is looked
 * for among those that the service lists.
 */
export async function sendParcel(
  access: SsmAccess,
  parcel: Parcel,
  { settings, clock, stop }: SendOptions,
): Promise<Sending> {
  const tooLate = new AbortController();
  const cancelTimer = clock.after(settings.sendWaitMs, () => tooLate.abort());
  const signal = AbortSignal.any([stop, tooLate.signal]);
  const isIn = (waiting: Promise<void>): Promise<boolean> =>
    waiting.then(
      () => true,
      () => false,
    );
  let fault: SsmFault | undefined;
  let pauseMs = THROTTLED_PAUSE_MS;
  try {
    while (await isIn(access.budget.take(signal))) {
      const loaded = parcel.load();
      if (loaded === undefined) return { kind: 'stopped' };
      const sentAt = new Date();
      try {
        return { kind: 'sent', sent: { commandId: await access.api.send(loaded.command), sentAt } };
      } catch (thrown) {
        if (!(thrown instanceof SsmFault)) throw thrown;
        fault = thrown;
      }
      if (fault.kind === 'unknown') {
        const [instanceId = ''] = loaded.command.instanceIds;
        const sought = { instanceId, isIt: loaded.isIt };
        return {
          kind: 'sent',
          sent: { commandId: await findCommand(access, sought, sentAt, { settings, clock }), sentAt },
        };
      }
      parcel.unload();
      if (fault.kind === 'refused') return { kind: 'refused', fault };
      if (fault.kind === 'throttled') access.budget.throttled();
      if (!(await isIn(pause(clock, pauseMs * (0.5 + Math.random()), signal)))) break;
      pauseMs = Math.min(pauseMs * 2, THROTTLED_PAUSE_MS_MAX);
    }
    return stop.aborted ? { kind: 'stopped' } : { kind: 'too-late', fault };
  } finally {
    cancelTimer();
  }
}

/** The error of a run whose command was not sent: nothing ran. */
export function unsentError(unsent: Unsent, about: SendAbout): RuneError {
  if (unsent.kind === 'too-late') return unavailableError(unsent.fault, about);
  if (unsent.kind === 'refused') return refusalError(unsent.fault, about);
  const message = `The run was cancelled before it was sent to ${about.node}.`;
  return new RuneError('RUN_CANCELLED', message, about);
}

/**
 * Looks for a command among those of its instance until it is found, or until a look finds nothing that began when the time for that
 * was over: a look may have waited long for its turn. Never rejects.
 */
export async function findCommand(
  access: SsmAccess,
  { instanceId, isIt }: { readonly instanceId: string; readonly isIt: (listed: SsmListedCommand) => boolean },
  sentAt: Date,
  { settings, clock }: { readonly settings: Pick<SendSettings, 'findWaitMs'>; readonly clock: Clock },
): Promise<string | undefined> {
  const tooLate = new AbortController();
  const cancelTimer = clock.after(settings.findWaitMs + FIND_TURN_WAIT_MS, () => tooLate.abort());
  const lastLookMs = clock.now() + settings.findWaitMs;
  const sentAfter = new Date(sentAt.getTime() - CLOCK_SKEW_MS);
  let pauseMs = FIND_PAUSE_MS;
  try {
    for (;;) {
      const isLast = clock.now() >= lastLookMs;
      let nextToken: string | undefined;
      let pages = FIND_PAGES_MAX;
      do {
        const token: string | undefined = nextToken;
        const page: SsmPage<SsmListedCommand> = await access.read(
          (api) => api.commands(instanceId, sentAfter, token),
          tooLate.signal,
        );
        const found = page.items.find(isIt);
        if (found !== undefined) return found.commandId;
        nextToken = page.nextToken;
        pages -= 1;
      } while (nextToken !== undefined && pages > 0);
      if (isLast) return undefined;
      await pause(clock, pauseMs, tooLate.signal);
      pauseMs = Math.min(pauseMs * 2, FIND_PAUSE_MS_MAX);
    }
  } catch {
    // The time is over, or the service refuses to tell: either way it is not known.
    return undefined;
  } finally {
    cancelTimer();
  }
}
