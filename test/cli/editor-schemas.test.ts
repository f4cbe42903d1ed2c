import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { editorSchemas } from '../../services/cli/plugin/editor-schemas.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

const plugins = join(packageRoot, 'plugins');

/** Keys of a schema that an editor would offer without a word about them. */
function undescribed(schema: unknown, path = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const {
    properties = {},
    items,
    anyOf = [],
  } = schema as {
    properties?: Record<string, { description?: string }>;
    items?: unknown;
    anyOf?: unknown[];
  };
  const own = Object.entries(properties).flatMap(([name, property]) => [
    ...(property.description === undefined ? [`${path}${name}`] : []),
    ...undescribed(property, `${path}${name}.`),
  ]);
  return [...own, ...[items, ...anyOf].flatMap((inner) => undescribed(inner, path))];
}

describe('the JSON Schemas for editors', () => {
  for (const [name, text] of editorSchemas()) {
    it(`say what the files are checked with (otherwise: npm run schemas): ${name}`, () => {
      assert.equal(readFileSync(join(plugins, name), 'utf8'), text);
    });

    it(`describe every key: ${name}`, () => {
      assert.deepEqual(undescribed(JSON.parse(text)), []);
    });
  }

  it('are all there are', () => {
    const files = readdirSync(plugins).filter((file) => file.endsWith('.schema.json'));
    assert.deepEqual(files.toSorted(), [...editorSchemas().keys()].toSorted());
  });
});
