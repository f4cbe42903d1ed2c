import { RuneError, type ErrorName } from '../../shared/errors.js';
import { FAULTS_LISTED_MAX } from '../../shared/fault.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';

/** Collects what is wrong with a registration; the first fault names the error. */
export interface ModuleFaults {
  add(error: ErrorName, field: string, description: string): void;
  /** Adds the fault unless `isGood`; returns `isGood`. */
  check(isGood: boolean, error: ErrorName, field: string, description: string): boolean;
  /** Throws the error of the first fault with all of them, if there is any. */
  throwIfAny(): void;
}

/** No faults yet. */
export function createModuleFaults(): ModuleFaults {
  const faults: (ValidationError & { readonly error: ErrorName })[] = [];
  const add = (error: ErrorName, field: string, description: string): void => {
    if (faults.length < FAULTS_LISTED_MAX) faults.push({ error, field, reason: error, description });
  };
  return {
    add,
    check(isGood, error, field, description) {
      if (!isGood) add(error, field, description);
      return isGood;
    },
    throwIfAny() {
      const [first] = faults;
      if (first === undefined) return;
      const validationErrors = faults.map(({ field, reason, description }) => ({
        field,
        reason,
        description,
      }));
      throw new RuneError(first.error, `The registration is refused: ${first.field} ${first.description}.`, {
        field: first.field,
        validationErrors,
      });
    },
  };
}
