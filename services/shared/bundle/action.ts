import type { ParameterInput } from '../gen/rune/v1/lmm.js';
import type { ActionCapability } from '../gen/rune/v1/mrs.js';
import type { Validator } from '../schema/schema.js';
import type { ArgumentGroup } from './argument-template.js';
import type { Secrets } from './secrets.js';

/** A helper file, under the path that it gets beside the plugin. */
export interface ActionFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly sha256: string;
}

/** What an action may be configured with, and what its bundle gives it; defaults are filled in by the check. */
export interface ActionConfiguration {
  readonly check: Validator;
  readonly values: Readonly<Record<string, unknown>>;
}

/** One version of an action, ready to be run: what it declares, and exactly the bytes that the digest names. */
export interface Action {
  readonly capability: ActionCapability;
  readonly script: Buffer;
  /** Lower-case hexadecimal, as every digest here. */
  readonly scriptSha256: string;
  /** Empty for the protocols that have no library. */
  readonly library: Buffer;
  readonly librarySha256: string;
  readonly files: readonly ActionFile[];
  /** What the plugin's arguments are made of. */
  readonly arguments: readonly ArgumentGroup[];
  /** How a Puppet Bolt task gets its parameters; unspecified for other protocols. */
  readonly parameterInput: ParameterInput;
  /** Which parameters are secrets. */
  readonly secrets: Secrets;
  /** Checks parameters and fills in their defaults. */
  readonly input: Validator;
  /** Checks the output; its text is capability.outputSchema. */
  readonly output: Validator;
  /** Undefined for an action without a configuration. */
  readonly configuration: ActionConfiguration | undefined;
  /** The manifest it comes from, as it is named in errors. */
  readonly file: string;
}
