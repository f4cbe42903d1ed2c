import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import { createFileFaults, type FileFaults } from '../../shared/file-faults.js';
import { fileStamp } from '../../shared/file-stamp.js';
import type { Logger } from '../../shared/logger.js';
import type { SchemaCompiler } from '../../shared/schema.js';
import { readSourceFile } from '../../shared/source-file.js';
import { readYaml, type YamlSource } from '../../shared/yaml-source.js';
import { createInventory, type Inventory } from '../inventory/inventory.js';
import { createLiveInventory } from './live-inventory.js';
import { impliedGroups } from './implied-groups.js';
import { readSource } from './read-source.js';
import type { InventorySourceConfig } from './source-config.js';
import type { SourceReading } from './source-reading.js';

/** Largest inventory file or answer of a source, in bytes. */
export const INVENTORY_BYTES_MAX = 32 * 1024 * 1024;
/** Longer answers say something. */
const NOTHING_BYTES_MAX = 64 * 1024;
/** A timer cannot wait longer. */
const PAUSE_MS_MAX = 24 * 3_600_000;

/** A source and how fresh what is used of it is. */
export interface InventorySourceStatus {
  /** The path of a file, or the name in the setting `inventory_sources`. */
  readonly name: string;
  readonly kind: 'file' | InventorySourceConfig['from']['kind'];
  /** When the source last said what is in use, in ms since 1970. */
  readonly readAtMs: number;
  /** Why nothing newer is in use; empty while all is well. */
  readonly problem: string;
  /** What else is to be known of what it said last, one sentence each, such as which instances are left out. */
  readonly notes: readonly string[];
}

/** What an inventory is made of. */
export interface FollowInventoryOptions {
  readonly files: readonly string[];
  readonly sources: readonly InventorySourceConfig[];
  /** How often files are looked at; 0 for never. */
  readonly filesRefreshMs: number;
  /** Where the last good answers of sources are kept for the next start. */
  readonly copies: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly schemas: SchemaCompiler;
  readonly logger: Logger;
}

/** An inventory that follows its sources. */
export interface FollowedInventory {
  /** The same object all the time. */
  readonly inventory: Inventory;
  /** In the order of the settings: files first. */
  statuses(): readonly InventorySourceStatus[];
  /** Begins to follow. `check` adds what it has against an inventory before that is used. */
  follow(check: (inventory: Inventory, faults: FileFaults) => void): void;
  /** Reads all sources again now; resolves when what they say is in use or was refused. */
  reload(): Promise<void>;
  close(): void;
}

interface Source {
  readonly name: string;
  readonly kind: InventorySourceStatus['kind'];
  readonly refreshMs: number;
  read(): Promise<SourceReading>;
  /** Of a file: to see without reading it that it has not changed. */
  stamp?: () => Promise<string>;
  seenStamp: string;
  dueAtMs: number;
  /** What it said last, and what is in use. */
  latest: YamlSource | undefined;
  latestBytes: Buffer | undefined;
  latestAtMs: number;
  usedBytes: Buffer | undefined;
  usedAtMs: number;
  copiedBytes: Buffer | undefined;
  unreadable: string;
  refused: string;
  notes: readonly string[];
}

/**
 * Reads all sources and makes the inventory of them; follows them after `follow`. What they say together is used as a whole or
 * not at all. A source that cannot be read counts with its last good copy. Throws one CONFIGURATION_INVALID with all faults if
 * that is not possible at the start.
 */
export async function followInventory(options: FollowInventoryOptions): Promise<FollowedInventory> {
  const { logger, schemas } = options;
  const sources = [
    ...options.files.map((file) => fileSource(file, options.filesRefreshMs)),
    ...options.sources.map((config) => remoteSource(config, options.env)),
  ];
  const copyOf = ({ kind, name }: Source): string | undefined =>
    options.copies === undefined || kind === 'file' ? undefined : join(options.copies, `${name}.inventory`);
  let check: (inventory: Inventory, faults: FileFaults) => void = () => undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let working: Promise<void> = Promise.resolve();

  const build = (faults: FileFaults): Inventory => {
    const latest = sources.flatMap(({ latest: each }) => each ?? []);
    const cloud = sources.filter(({ kind }) => kind === 'ec2' || kind === 'ssm');
    const implied = impliedGroups(
      cloud.flatMap(({ latest: each }) => each ?? []),
      latest,
    );
    const inventory = createInventory(implied === undefined ? latest : [...latest, implied], schemas, faults);
    check(inventory, faults);
    faults.throwIfAny('The inventory');
    return inventory;
  };
  const use = (inventory: Inventory): void => {
    for (const warning of inventory.warnings) logger.warn(warning);
    for (const source of sources) {
      for (const note of source.notes)
        logger.warn('an inventory source says what cannot be used', { source: source.name, what: note });
      source.usedBytes = source.latestBytes;
      source.usedAtMs = source.latestAtMs;
      source.refused = '';
    }
  };
  const keepCopies = async (): Promise<void> => {
    for (const source of sources) {
      const copy = copyOf(source);
      if (copy === undefined || source.copiedBytes === source.usedBytes) continue;
      await keepCopy(copy, source, logger);
      source.copiedBytes = source.usedBytes;
    }
  };

  const faults = createFileFaults();
  await Promise.all(
    sources.map(async (source) => {
      await take(source, true);
      if (source.latest !== undefined) return;
      const copy = copyOf(source);
      const kept = copy === undefined ? undefined : await readCopy(copy);
      if (kept === undefined) {
        faults.addFile(source.name, 'FILE', `the ${WHAT[source.kind]} ${source.unreadable}`);
        return;
      }
      logger.warn('an inventory source cannot be read: its copy is used', {
        source: source.name,
        reason: source.unreadable,
        read_at: new Date(kept.readAtMs).toISOString(),
      });
      setLatest(source, kept.bytes, kept.readAtMs);
      source.copiedBytes = kept.bytes;
    }),
  );
  const first = build(faults);
  use(first);
  const inventory = createLiveInventory(first);

  const refresh = async (due: readonly Source[], force: boolean): Promise<void> => {
    const news = await Promise.all(
      due.map(async (source) => {
        const before = source.unreadable;
        const isNews = await take(source, force);
        tellReadable(source, before, logger);
        return isNews;
      }),
    );
    if (isClosed || !(force || news.includes(true))) return;
    if (sources.every(({ latestBytes, usedBytes }) => latestBytes === usedBytes)) {
      // One that went back to what is in use takes its refusal back with it.
      for (const source of sources) source.refused = '';
      return;
    }
    try {
      const next = build(createFileFaults());
      inventory.replace(next);
      use(next);
      await keepCopies();
      logger.info('the inventory was loaded again', { nodes: next.nodes.length });
    } catch (thrown) {
      const error = RuneError.from(thrown);
      if (error.name !== 'CONFIGURATION_INVALID') throw error;
      for (const source of sources) source.refused = error.message;
      logger.error('the inventory has changed and cannot be used: the old one stays', {
        reason: error.message,
      });
    }
  };
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    working = working.then(work).catch((thrown: unknown) => {
      logger.error('the inventory could not be looked at', { err: thrown });
    });
    return working;
  };
  const plan = (): void => {
    clearTimeout(timer);
    const next = Math.min(...sources.map(({ dueAtMs }) => dueAtMs));
    if (isClosed || next === Infinity) return;
    timer = setTimeout(
      () => {
        const due = sources.filter(({ dueAtMs }) => dueAtMs <= Date.now());
        void inTurn(() => refresh(due, false)).then(plan);
      },
      Math.min(Math.max(next - Date.now(), 0), PAUSE_MS_MAX),
    );
    timer.unref();
  };

  return {
    inventory,
    statuses: () =>
      sources.map(({ name, kind, usedAtMs, unreadable, refused, notes }) => ({
        name,
        kind,
        readAtMs: usedAtMs,
        notes,
        problem: unreadable === '' ? refused : `the ${WHAT[kind]} ${unreadable}`,
      })),
    follow(checkWith) {
      check = checkWith;
      // Only now is it known that it can be used with the actions.
      void inTurn(keepCopies);
      plan();
    },
    async reload() {
      await inTurn(() => refresh(sources, true));
      plan();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
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

function fileSource(file: string, refreshMs: number): Source {
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

function remoteSource(config: InventorySourceConfig, env: FollowInventoryOptions['env']): Source {
  const { name, refreshMs, from } = config;
  const read = (): Promise<SourceReading> => readSource(config, INVENTORY_BYTES_MAX, env);
  return { ...NOTHING, name, kind: from.kind, refreshMs, dueAtMs: 0, read };
}

/** Asks the source; true if it says something that it did not say before. */
async function take(source: Source, force: boolean): Promise<boolean> {
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

function confirm(source: Source, atMs: number): void {
  source.dueAtMs = atMs + source.refreshMs;
  source.latestAtMs = atMs;
  if (source.latestBytes === source.usedBytes) source.usedAtMs = atMs;
}

function setLatest(source: Source, bytes: Buffer, atMs: number): void {
  source.latestBytes = bytes;
  source.latest = readYaml(bytes, source.name);
  source.latestAtMs = atMs;
  if (bytes === source.usedBytes) source.usedAtMs = atMs;
}

/** Once, not at every refresh. */
function tellReadable(source: Source, before: string, logger: Logger): void {
  const { name, unreadable, usedAtMs } = source;
  if (unreadable === before) return;
  if (unreadable === '') logger.info('an inventory source can be read again', { source: name });
  else
    logger.warn('an inventory source cannot be read: what it said last is used', {
      source: name,
      reason: unreadable,
      read_at: new Date(usedAtMs).toISOString(),
    });
}

async function readCopy(path: string): Promise<{ bytes: Buffer; readAtMs: number } | undefined> {
  const reading = await readSourceFile(path, { bytesMax: INVENTORY_BYTES_MAX });
  if ('refusal' in reading) return undefined;
  return { bytes: reading.bytes, readAtMs: (await stat(path)).mtimeMs };
}

/** A copy that cannot be kept is missed at a later start at most. */
async function keepCopy(path: string, { name, usedBytes }: Source, logger: Logger): Promise<void> {
  try {
    await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
    await writeFile(`${path}.new`, usedBytes ?? '', { mode: 0o600 });
    await rename(`${path}.new`, path);
  } catch (thrown) {
    logger.warn('the copy of an inventory source cannot be kept', { source: name, err: thrown });
  }
}
