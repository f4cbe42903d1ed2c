import { readYaml, type YamlSource } from '../../shared/files/yaml-source.js';

/**
 * The groups that only nodes of AWS name, as one more source that defines them: which tags there are is not known in advance, and
 * groups of a file may give defaults to such nodes. Undefined where there is none. Of names and shapes nothing is checked here.
 */
export function impliedGroups(
  cloud: readonly YamlSource[],
  all: readonly YamlSource[],
): YamlSource | undefined {
  const defined = new Set(all.flatMap(({ value }) => Object.keys(partOf(value, 'groups'))));
  const named = cloud.flatMap(({ value }) =>
    Object.values(partOf(value, 'nodes')).flatMap((node) => Object.values(partOf(node, 'groups'))),
  );
  const missing = new Set(named.filter((name) => typeof name === 'string' && !defined.has(name)));
  if (missing.size === 0) return undefined;
  const groups = Object.fromEntries([...missing].map((name) => [name, {}]));
  return readYaml(Buffer.from(JSON.stringify({ groups })), 'groups of tags');
}

function partOf(value: unknown, key: string): object {
  const part: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  return typeof part === 'object' && part !== null ? part : {};
}
