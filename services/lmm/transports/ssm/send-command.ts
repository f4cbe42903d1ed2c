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
 * Sends a command once. Only what certainly was not accepted is sent again; after an answer that says nothing, the command is looked
 * for by its comment. Throws a RuneError if nothing was sent: RUN_CANCELLED once `stop` is aborted, and what the service says.
 */
export async function sendCommand(
  access: SsmAccess,
  command: SsmCommand,
  about: SendAbout,
  options: { readonly settings: SendSettings; readonly clock: Clock; readonly stop: AbortSignal },
): Promise<SentCommand> {
  const { settings, clock, stop } = options;
  const tooLate = new AbortController();
  const cancelTimer = clock.after(settings.sendWaitMs, () => tooLate.abort());
  const signal = AbortSignal.any([stop, tooLate.signal]);
  let fault: SsmFault | undefined;
  const giveUp = (): RuneError => {
    if (stop.aborted)
      return new RuneError(
        'RUN_CANCELLED',
        `The run was cancelled before it was sent to ${about.node}.`,
        about,
      );
    return unavailableError(fault, about);
  };
  let pauseMs = THROTTLED_PAUSE_MS;
  try {
    for (;;) {
      await access.budget.take(signal).catch(() => {
        throw giveUp();
      });
      const sentAt = new Date();
      try {
        return { commandId: await access.api.send(command), sentAt };
      } catch (thrown) {
        if (!(thrown instanceof SsmFault)) throw thrown;
        fault = thrown;
      }
      if (fault.kind === 'refused') throw refusalError(fault, about);
      if (fault.kind === 'unknown') {
        return { commandId: await findCommand(access, command, sentAt, { settings, clock }), sentAt };
      }
      if (fault.kind === 'throttled') access.budget.throttled();
      await pause(clock, pauseMs * (0.5 + Math.random()), signal).catch(() => {
        throw giveUp();
      });
      pauseMs = Math.min(pauseMs * 2, THROTTLED_PAUSE_MS_MAX);
    }
  } finally {
    cancelTimer();
  }
}

/**
 * Looks for a command by its instance and comment until it is found, or until a look finds nothing that began when the time for that
 * was over: a look may have waited long for its turn. Never rejects.
 */
export async function findCommand(
  access: SsmAccess,
  { instanceId, comment }: Pick<SsmCommand, 'instanceId' | 'comment'>,
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
        const found = page.items.find((each) => each.comment === comment);
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
