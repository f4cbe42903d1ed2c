import { RuneError } from '../../shared/errors.js';
import { createFileFaults, type FileFaults } from '../../shared/files/file-faults.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { SchemaCompiler } from '../../shared/schema/schema.js';
import { createInventory, type Inventory } from '../inventory/inventory.js';
import { createLiveInventory } from './live-inventory.js';
import { impliedGroups } from './implied-groups.js';
import {
  askSource,
  fileSource,
  remoteSource,
  setLatest,
  unreadableWords,
  type InventorySource,
  type InventorySourceKind,
} from './inventory-source.js';
import type { InventorySourceConfig } from './source-config.js';
import { keepCopy, readCopy } from './source-copies.js';

/** A timer cannot wait longer. */
const PAUSE_MS_MAX = 24 * 3_600_000;

/** A source and how fresh what is used of it is. */
export interface InventorySourceStatus {
  /** The path of a file, or the name in the setting `inventory_sources`. */
  readonly name: string;
  readonly kind: InventorySourceKind;
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
    for (const source of sources) await keepCopy(options.copies, source, logger);
  };

  const faults = createFileFaults();
  await Promise.all(
    sources.map(async (source) => {
      await askSource(source, true);
      if (source.latest !== undefined) return;
      const kept = await readCopy(options.copies, source);
      if (kept === undefined) {
        faults.addFile(source.name, 'FILE', unreadableWords(source));
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

  const refresh = async (due: readonly InventorySource[], force: boolean): Promise<void> => {
    const news = await Promise.all(
      due.map(async (source) => {
        const before = source.unreadable;
        const isNews = await askSource(source, force);
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
      sources.map((source) => ({
        name: source.name,
        kind: source.kind,
        readAtMs: source.usedAtMs,
        notes: source.notes,
        problem: unreadableWords(source) || source.refused,
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

/** Once, not at every refresh. */
function tellReadable(source: InventorySource, before: string, logger: Logger): void {
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
