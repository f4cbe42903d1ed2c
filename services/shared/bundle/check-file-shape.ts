import type { FileFaults } from '../files/file-faults.js';
import type { SchemaCompiler } from '../schema/schema.js';
import type { YamlSource } from '../files/yaml-source.js';

/** Adds the faults of a file's shape, and tells which of its keys are there and sound, so that they can be looked into. */
export function checkFileShape(
  source: YamlSource,
  schema: object,
  schemas: SchemaCompiler,
  faults: FileFaults,
): (key: string) => boolean {
  const { value } = source;
  const found = schemas.compile(JSON.stringify(schema), '').faults(value);
  for (const { path, reason, description } of found) faults.add(source, path, reason, description);
  const broken = new Set(found.map(({ path }) => path[0]));
  return (key) =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, key) && !broken.has(key);
}
