import type { EpsError } from '../../shared/gen/rune/v1/eps.js';

/** One line of the check list. `warn` is worth a look and fails nothing; `skip` could not be tried. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail' | 'skip';
  readonly message: string;
  readonly details: readonly string[];
  readonly error?: EpsError;
}
