import type { ActionCapability } from '../gen/rune/v1/mrs.js';
import type { Validator } from '../schema.js';

/** One version of an action, ready to be run: what it declares, and exactly the bytes that the digest names. */
export interface Action {
  readonly capability: ActionCapability;
  readonly script: Buffer;
  /** Lower-case hexadecimal, as every digest here. */
  readonly scriptSha256: string;
  readonly library: Buffer;
  readonly librarySha256: string;
  /** Checks parameters and fills in their defaults. */
  readonly input: Validator;
  /** Checks the output; its text is capability.outputSchema. */
  readonly output: Validator;
  /** The manifest it comes from, as it is named in errors. */
  readonly file: string;
}
