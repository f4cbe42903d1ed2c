import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { createSchemaCompiler, type Validator } from '../../services/shared/schema/schema.js';

/** What tests read of a shipped action's manifest. */
export interface ShippedManifest {
  readonly action: string;
  readonly supports_dry_run: boolean;
  readonly input_schema: object;
  readonly output_schema: object;
  readonly configuration_schema?: object;
  readonly files?: readonly string[];
  readonly examples: readonly { description: string; params: object; output?: object }[];
}

// Hundreds of runs ask for the same few; reading and compiling them takes longer than most of those runs.
const manifests = new Map<string, ShippedManifest>();
const schemas = createSchemaCompiler();

/** The manifest of a shipped action; it must not be changed. */
export function manifestOf(action: string): ShippedManifest {
  const known = manifests.get(action);
  if (known !== undefined) return known;
  const text = readFileSync(join(packageRoot, 'plugins', action, 'manifest.yaml'), 'utf8');
  const manifest = parse(text) as ShippedManifest;
  manifests.set(action, manifest);
  return manifest;
}

/** Compiles a schema of a shipped action; an action without a configuration takes any. */
export function validatorOf(action: string, part: 'input' | 'output' | 'configuration'): Validator {
  return schemas.compile(JSON.stringify(manifestOf(action)[`${part}_schema`] ?? { type: 'object' }), part);
}
