type Fields = Readonly<Record<string, unknown>>;

/** A string of a result that stands for bytes, because its schema says `contentEncoding: base64`. */
export interface Content {
  /** Where it is: names that the schema declares, and positions in lists. Nothing in it comes from a node. */
  readonly path: readonly (string | number)[];
  readonly text: string;
  /** contentMediaType of the schema; empty where it has none. */
  readonly mediaType: string;
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const branchesOf = ({ anyOf, oneOf, allOf }: Fields): unknown[] =>
  [anyOf, oneOf, allOf].flatMap((list: unknown) => (Array.isArray(list) ? (list as unknown[]) : []));

/** The schema, or one of its alternatives, that says the string is base64. */
function annotation(schema: unknown): Fields | undefined {
  if (!isFields(schema)) return undefined;
  if (schema['contentEncoding'] === 'base64') return schema;
  for (const branch of branchesOf(schema)) {
    const found = annotation(branch);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * A copy of a result in which `replace` took the place of every string that its output schema calls base64. Follows `properties`,
 * `items`, `anyOf`, `oneOf` and `allOf`. The value may be anything: only what the schema declares is looked at.
 */
export function mapContent(schema: unknown, value: unknown, replace: (content: Content) => string): unknown {
  const replaced = new Set<string>();

  function walk(part: unknown, at: unknown, path: readonly (string | number)[]): unknown {
    if (!isFields(part)) return at;
    if (typeof at === 'string') {
      const found = annotation(part);
      const key = JSON.stringify(path);
      if (found === undefined || replaced.has(key)) return at;
      replaced.add(key);
      const { contentMediaType: mediaType } = found;
      return replace({ path, text: at, mediaType: typeof mediaType === 'string' ? mediaType : '' });
    }
    let mapped = at;
    if (Array.isArray(mapped) && isFields(part['items'])) {
      mapped = mapped.map((item, index) => walk(part['items'], item, [...path, index]));
    }
    const { properties } = part;
    if (isFields(mapped) && isFields(properties)) {
      const fields = mapped;
      mapped = Object.fromEntries(
        Object.entries(fields).map(([name, item]) => [
          name,
          Object.hasOwn(properties, name) ? walk(properties[name], item, [...path, name]) : item,
        ]),
      );
    }
    for (const branch of branchesOf(part)) mapped = walk(branch, mapped, path);
    return mapped;
  }

  return walk(schema, value, []);
}

/** The bytes that a string of base64 stands for; undefined unless it is exactly what an encoder writes. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
