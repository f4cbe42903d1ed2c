import { AwsError } from './aws-error.js';

/**
 * What goes wrong with a call. Before it acts: `throttled`, `failed` (500), `denied`, `lost` (the connection is cut), `slow`.
 * After it acted, so that the caller cannot know: `answer-lost`, `answer-failed` (500), `answer-stalled` (nothing ever comes),
 * `answer-garbled` (half of it).
 */
export type FaultKind =
  | 'throttled'
  | 'failed'
  | 'denied'
  | 'lost'
  | 'slow'
  | 'answer-lost'
  | 'answer-failed'
  | 'answer-stalled'
  | 'answer-garbled';

/** A fault that calls meet. */
export interface CallFault {
  /** An operation's name; undefined for all. */
  readonly call?: string;
  readonly kind: FaultKind;
  /** How many calls meet it; default: one. */
  readonly times?: number;
  /** The part of the calls that meets it, from 0 to 1; default: each. */
  readonly share?: number;
  /** Of `slow`. */
  readonly delayMs?: number;
  /** Only calls with such an input. */
  readonly when?: (input: Readonly<Record<string, unknown>>) => boolean;
}

/** The faults that are set. */
export interface CallFaults {
  /** Sets a fault; the answer takes it away again. */
  inject(fault: CallFault): () => void;
  /** The fault that this call meets. */
  meet(call: string, input: Readonly<Record<string, unknown>>): CallFault | undefined;
  clear(): void;
}

/** Makes a set of faults; `random` answers a number from 0 to below 1. */
export function createCallFaults(random: () => number): CallFaults {
  const faults = new Set<{ readonly fault: CallFault; left: number }>();
  return {
    inject(fault) {
      const entry = { fault, left: fault.times ?? 1 };
      faults.add(entry);
      return () => void faults.delete(entry);
    },
    meet(call, input) {
      for (const entry of faults) {
        const { fault } = entry;
        if (fault.call !== undefined && fault.call !== call) continue;
        if (fault.when?.(input) === false || random() >= (fault.share ?? 1)) continue;
        entry.left -= 1;
        if (entry.left <= 0) faults.delete(entry);
        return fault;
      }
      return undefined;
    },
    clear: () => faults.clear(),
  };
}

/** The error that a fault answers a call with before it acts; undefined for one that does not. */
export function errorOfFault(kind: FaultKind): AwsError | undefined {
  switch (kind) {
    case 'throttled':
      return new AwsError('ThrottlingException', 'Rate exceeded');
    case 'failed':
    case 'answer-failed':
      return new AwsError('InternalServerError', 'An error occurred on the server side.', 500);
    case 'denied':
      return new AwsError('AccessDeniedException', 'User is not authorized to perform this operation.');
    default:
      return undefined;
  }
}
