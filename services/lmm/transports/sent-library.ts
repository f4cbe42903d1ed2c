import { shippedLibrary } from '../../shared/bundle/shipped-library.js';
import { compactShell } from '../../shared/compact-shell.js';

/** A library as it goes up: what is evaluated before every plugin, and text that the first part evaluates when it needs it. */
export interface SentLibrary {
  readonly first: Buffer;
  /** Empty, unless the library is the shipped one. */
  readonly rest: Buffer;
}

/** The line of the shipped library that its second part begins with. */
const REST_LINE = '\n: rest\n';

const SHIPPED = shippedLibrary();
const [FIRST = '', ...REST] = `${compactShell(SHIPPED.toString())}\n`.split(REST_LINE);
/** The shipped library as it goes up: without its comments and in two parts, since bash takes long to parse it. */
export const SHIPPED_LIBRARY: SentLibrary = {
  first: Buffer.from(`${FIRST}\n`),
  rest: Buffer.from(REST.join(REST_LINE)),
};
const NOTHING = Buffer.alloc(0);

/** No library. */
export const NO_LIBRARY: SentLibrary = { first: NOTHING, rest: NOTHING };

/** SHIPPED_LIBRARY or NO_LIBRARY where it is that; any other library as it is. */
export function sentLibrary(library: Buffer): SentLibrary {
  if (library.length === 0) return NO_LIBRARY;
  return library.equals(SHIPPED) ? SHIPPED_LIBRARY : { first: library, rest: NOTHING };
}
