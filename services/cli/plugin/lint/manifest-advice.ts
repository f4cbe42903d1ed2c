import type { FaultPath } from '../../../shared/fault.js';
import { fieldName } from '../../../shared/fault.js';
import type { YamlSource } from '../../../shared/files/yaml-source.js';
import type { Finding } from './finding.js';

/** The parts of a manifest that advice is given on; it may have any faults. */
interface Manifest {
  readonly protocol?: unknown;
  readonly risk?: unknown;
  readonly supports_dry_run?: unknown;
  readonly input_schema?: unknown;
  readonly arguments?: unknown;
}

/** Protocols by which a plugin can always be told that it is a dry run; of a Bolt task its own metadata says it. */
const CAN_RUN_DRY: readonly unknown[] = [undefined, 'bpcs'];
const MUTATING: readonly unknown[] = ['low', 'high', 'destructive'];
const PLACEHOLDER = /^\{[^{}]+\}$/;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a manifest leaves out that its users will miss. Faults are not told here. */
export function manifestAdvice(source: YamlSource): Finding[] {
  if (!isObject(source.value)) return [];
  const manifest: Manifest = source.value;
  const warning = (path: FaultPath, rule: string, description: string): Finding => ({
    file: source.file,
    line: source.lineOf(path),
    severity: 'warning',
    rule,
    message: `${fieldName('', path).replace(/^\./, '')} ${description}`,
  });
  return [
    ...dryRunAdvice(manifest, warning),
    ...descriptionAdvice(manifest, warning),
    ...argumentAdvice(manifest, warning),
  ];
}

type Warn = (path: FaultPath, rule: string, description: string) => Finding;

function dryRunAdvice(manifest: Manifest, warning: Warn): Finding[] {
  const { protocol, risk, supports_dry_run: supportsDryRun } = manifest;
  if (!MUTATING.includes(risk) || supportsDryRun === true || !CAN_RUN_DRY.includes(protocol)) return [];
  const description = `is ${String(risk)}, but the action has no dry run: ask rune_dry_run in the plugin and set supports_dry_run`;
  return [warning(['risk'], 'NO_DRY_RUN', description)];
}

function descriptionAdvice({ input_schema: schema }: Manifest, warning: Warn): Finding[] {
  const properties = isObject(schema) && isObject(schema['properties']) ? schema['properties'] : {};
  return Object.entries(properties)
    .filter(([, property]) => isObject(property) && typeof property['description'] !== 'string')
    .map(([name]) =>
      warning(['input_schema', 'properties', name], 'NO_DESCRIPTION', 'has no description for its users'),
    );
}

/** Values from a caller that the program may take for one of its flags. */
function argumentAdvice({ arguments: list }: Manifest, warning: Warn): Finding[] {
  if (!Array.isArray(list)) return [];
  const findings: Finding[] = [];
  const flat = list.flatMap((item: unknown, index): { text: unknown; path: FaultPath }[] => {
    const added = isObject(item) && Array.isArray(item['add']) ? item['add'] : undefined;
    return added === undefined
      ? [{ text: item, path: ['arguments', index] }]
      : added.map((text: unknown, at) => ({ text, path: ['arguments', index, 'add', at] }));
  });
  let before = '';
  for (const { text, path } of flat) {
    if (typeof text !== 'string') continue;
    if (text === '--') break;
    if (PLACEHOLDER.test(text) && !before.startsWith('-')) {
      findings.push(warning(path, 'NO_SEPARATOR', 'takes no value that begins with "-": put "--" before it'));
    }
    before = text;
  }
  return findings;
}
