import { fileStamp } from '../../shared/files/file-stamp.js';
import { readSourceFile } from '../../shared/files/source-file.js';
import { readYaml, type YamlSource } from '../../shared/files/yaml-source.js';
import { readSource } from './read-source.js';
import type { InventorySourceConfig } from './source-config.js';
import type { SourceReading } from './source-reading.js';

/** Largest inventory file or answer of a source, in bytes. */
export const INVENTORY_BYTES_MAX = 32 * 1024 * 1024;
/** Longer answers say something. */
const NOTHING_BYTES_MAX = 64 * 1024;

/** What a source is. */
export type InventorySourceKind = 'file' | InventorySourceConfig['from']['kind'];

/** A part of the inventory, what it says, and what of that is in use. */
export interface InventorySource {
  readonly name: string;
  readonly kind: InventorySourceKind;
  readonly refreshMs: number;
  read(): Promise<SourceReading>;
  /** Of a file: to see without reading it that it has not changed. */
  stamp?: () => Promise<string>;
  seenStamp: string;
  dueAtMs: number;
  /** What it said last, what is in use, and what is kept for the next start. */
  latest: YamlSource | undefined;
  latestBytes: Buffer | undefined;
  latestAtMs: number;
  usedBytes: Buffer | undefined;
  usedAtMs: number;
  copiedBytes: Buffer | undefined;
  /** Why it could not be read the last time, in words that follow what it is; and why what it says is not used. */
  unreadable: string;
  refused: string;
  /** What else is to be known of what it said last. */
  notes: readonly string[];
}

const WHAT = {
  file: 'file',
  program: 'program',
  url: 'address',
  ec2: 'API of EC2',
  ssm: 'API of Systems Manager',
} as const;

const NOTHING = {
  seenStamp: '',
  latest: undefined,
  latestBytes: undefined,
  latestAtMs: 0,
  usedBytes: undefined,
  usedAtMs: 0,
  copiedBytes: undefined,
  unreadable: '',
  refused: '',
  notes: [],
};

/** A file, looked at so often; 0 for never. */
export function fileSource(file: string, refreshMs: number): InventorySource {
  return {
    ...NOTHING,
    name: file,
    kind: 'file',
    refreshMs: refreshMs === 0 ? Infinity : refreshMs,
    dueAtMs: 0,
    read: () => readSourceFile(file, { bytesMax: INVENTORY_BYTES_MAX }),
    stamp: () => fileStamp([file]),
  };
}

/** Any other source; `env` is that of the service. */
export function remoteSource(
  config: InventorySourceConfig,
  env: Readonly<Record<string, string | undefined>>,
): InventorySource {
  const { name, refreshMs, from } = config;
  const read = (): Promise<SourceReading> => readSource(config, INVENTORY_BYTES_MAX, env);
  return { ...NOTHING, name, kind: from.kind, refreshMs, dueAtMs: 0, read };
}

/** Why the source could not be read the last time, as a sentence without its end; empty if it could. */
export function unreadableWords({ kind, unreadable }: InventorySource): string {
  return unreadable === '' ? '' : `the ${WHAT[kind]} ${unreadable}`;
}

/** Asks the source; true if it says something that it did not say before. */
export async function askSource(source: InventorySource, force: boolean): Promise<boolean> {
  const stamp = await source.stamp?.();
  if (stamp !== undefined && stamp === source.seenStamp && source.unreadable === '' && !force) {
    confirm(source, Date.now());
    return false;
  }
  const reading = await source.read();
  source.dueAtMs = Date.now() + source.refreshMs;
  if ('refusal' in reading) {
    source.unreadable = reading.refusal;
    return false;
  }
  const isKnown = source.latestBytes?.equals(reading.bytes) === true;
  // A file is written by somebody; a program whose first half failed, as before a pipe, prints nothing and ends well.
  if (!isKnown && source.kind !== 'file' && saysNothing(reading.bytes, source.name)) {
    source.unreadable = 'gave an empty answer; nodes: {} says that there are no nodes';
    return false;
  }
  source.unreadable = '';
  source.notes = reading.notes ?? [];
  source.seenStamp = stamp ?? '';
  if (isKnown) {
    confirm(source, Date.now());
    return false;
  }
  // Back to what is in use: the same object, so that it counts as such.
  const isBack = source.usedBytes?.equals(reading.bytes) === true;
  setLatest(source, isBack && source.usedBytes !== undefined ? source.usedBytes : reading.bytes, Date.now());
  return true;
}

/** Whether an answer holds no value at all, or null. */
function saysNothing(bytes: Buffer, name: string): boolean {
  // Looked at once more only where it is short enough to be nothing but blanks and comments.
  if (bytes.length > NOTHING_BYTES_MAX) return false;
  const { value, faults } = readYaml(bytes, name);
  return faults.length === 0 && value === null;
}

function confirm(source: InventorySource, atMs: number): void {
  source.dueAtMs = atMs + source.refreshMs;
  source.latestAtMs = atMs;
  if (source.latestBytes === source.usedBytes) source.usedAtMs = atMs;
}

/** Takes these bytes for what the source said at that time. */
export function setLatest(source: InventorySource, bytes: Buffer, atMs: number): void {
  source.latestBytes = bytes;
  source.latest = readYaml(bytes, source.name);
  source.latestAtMs = atMs;
  if (bytes === source.usedBytes) source.usedAtMs = atMs;
}
