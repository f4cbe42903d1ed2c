import { RuneError } from '../errors.js';
import { formatAddress, isLoopbackHost, type RpcAddress } from '../rpc/rpc-address.js';

/** What is said to somebody who listens without TLS where others can reach it. */
export interface PlaintextWords {
  /** The setting that holds the address. */
  readonly field: string;
  /** Such as "Without TLS this service listens". */
  readonly what: string;
  /** What to do instead. */
  readonly remedy: string;
}

/** The rule of every listener without TLS: this host only, unless the operator has said otherwise. Throws CONFIGURATION_INVALID. */
export function refusePlaintext(
  listen: RpcAddress,
  isAllowed: boolean,
  { field, what, remedy }: PlaintextWords,
): void {
  if (isAllowed || listen.unix || isLoopbackHost(listen.host)) return;
  const address = formatAddress(listen);
  throw new RuneError('CONFIGURATION_INVALID', `${what} on this host only, not on ${address}: ${remedy}.`, {
    field,
    originalValue: address,
  });
}

/** Why nothing listens at an address that the setting `field` names. */
export function bindError(target: string, cause: unknown, field: string): RuneError {
  const text = cause instanceof Error ? cause.message : '';
  const why = BIND_FAULTS.find(([code]) => text.includes(code));
  const reason = why === undefined ? 'the address cannot be used' : `${why[1]} (${why[0]})`;
  return new RuneError(
    'CONFIGURATION_INVALID',
    `Cannot listen on ${target}: ${reason}.`,
    { field },
    { cause },
  );
}

const BIND_FAULTS = [
  ['EADDRINUSE', 'another process listens there'],
  ['EADDRNOTAVAIL', 'this host does not have that address'],
  ['EACCES', 'this user may not listen there'],
  ['ENOTFOUND', 'the name is not known'],
  ['ENOENT', 'the folder does not exist'],
] as const;
