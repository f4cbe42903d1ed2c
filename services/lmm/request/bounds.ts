import { RuneError } from '../../shared/errors.js';

/** A limit that a request may set within bounds. */
export interface Bounds {
  readonly default: number;
  readonly max: number;
}

/** The limit that a request asks for, or the default. Throws FIELD_OUT_OF_RANGE; `write` says how amounts are written there. */
export function within(
  field: string,
  asked: number | undefined,
  bounds: Bounds,
  write: (amount: number) => string = String,
): number {
  if (asked === undefined || asked === 0) return bounds.default;
  if (asked > 0 && asked <= bounds.max) return asked;
  throw new RuneError('FIELD_OUT_OF_RANGE', `${field} is not within what this mediator allows.`, {
    field: `start.limits.${field}`,
    originalValue: write(asked),
    expectedFormat: `more than 0 and at most ${write(bounds.max)}`,
  });
}
