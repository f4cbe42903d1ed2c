import { BUNDLE_SCHEMA, MANIFEST_SCHEMA } from '../../shared/bundle/manifest-schema.js';
import { TESTS_SCHEMA } from './test/tests-schema.js';

/** The JSON Schemas that come with the package for editors, as text by file name; made of what the files are checked with. */
export function editorSchemas(): ReadonlyMap<string, string> {
  const schemas = { bundle: BUNDLE_SCHEMA, manifest: MANIFEST_SCHEMA, tests: TESTS_SCHEMA };
  return new Map(
    Object.entries(schemas).map(([name, schema]) => [
      `${name}.schema.json`,
      `${JSON.stringify({ title: `${name}.yaml of RUNE`, ...schema }, null, 2)}\n`,
    ]),
  );
}
