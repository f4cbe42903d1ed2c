import { readSchema } from '../schema/schema-source.js';

/** Which parameters of an input schema are secrets, or hold one. */
export interface Secrets {
  include(parameter: string): boolean;
  /** The first of them, as it is named to a person; undefined if there is none. */
  readonly first: string | undefined;
}

/** Finds what an input schema marks `writeOnly: true`; `more` names further secrets. A faulty schema has none. */
export function secretsOf(inputSchema: object, more: readonly string[] = []): Secrets {
  const locations = readSchema(JSON.stringify(inputSchema)).source?.secretLocations ?? [];
  // Null stands for any name, and an empty path for the parameters as a whole.
  const names = new Set<string | null>([...locations.map(([name = null]) => name), ...more]);
  const [first] = names;
  return {
    include: (parameter) => names.has(parameter) || names.has(null),
    first: first === null ? 'any' : first,
  };
}
