import { ModuleType, type MediatorMetadata } from '../../shared/gen/rune/v1/mrs.js';
import { ModuleState } from '../../shared/gen/rune/v1/registry.js';
import { configuredMediators, type KnownMediator, type MediatorEndpoint } from '../mediators/mediators.js';
import { lifecycleOf, type ModuleTiming } from './lifecycle.js';
import { nameOf, type ModuleRecord } from '../store/module-record.js';

/** What a mediator says of itself; undefined for a record of another module. */
export function metadataOf({
  registration,
}: Pick<ModuleRecord, 'registration'>): MediatorMetadata | undefined {
  if (registration.moduleIdentity?.moduleType !== ModuleType.MEDIATOR) return undefined;
  return registration.capabilityDeclaration?.serviceMetadata;
}

/**
 * The mediators that runs may go to: those that registered, and those of the configuration that did not. One that has left is among
 * them for `leftMs`, so that a zone whose only mediator is replaced is not taken for one without any.
 */
export function knownMediators(
  records: readonly ModuleRecord[],
  configured: readonly MediatorEndpoint[],
  nowMs: number,
  { timing, leftMs }: { readonly timing: ModuleTiming; readonly leftMs: number },
): KnownMediator[] {
  const known = new Map<string, KnownMediator>();
  // Those that have ended first: whoever is at the same address now takes their place.
  for (const record of records.toSorted((a, b) => Number(b.endedMs > 0) - Number(a.endedMs > 0))) {
    const metadata = metadataOf(record);
    if (metadata === undefined || (record.endedMs > 0 && nowMs - record.endedMs > leftMs)) continue;
    const { address, zone, transports, maxConcurrentRuns } = metadata;
    const { state, reason } = lifecycleOf(record, nowMs, timing, { isServing: false, missing: [] });
    const isWell = state === ModuleState.AVAILABLE || state === ModuleState.ACTIVE;
    known.set(address, {
      address,
      zone,
      name: nameOf(record),
      transports,
      runsMax: record.beat.load?.runsMax || maxConcurrentRuns,
      runsActive: record.beat.load?.runsActive ?? 0,
      saidAtMs: record.heartbeatMs,
      trouble: isWell ? undefined : { use: 'no', passing: true, words: reason },
    });
  }
  const others = configured.filter(
    ({ address }) => known.get(address)?.trouble !== undefined || !known.has(address),
  );
  for (const mediator of configuredMediators(others)) known.set(mediator.address, mediator);
  return [...known.values()];
}
