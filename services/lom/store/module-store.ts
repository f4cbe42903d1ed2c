import type { ModuleRecord } from './module-record.js';

/** A heartbeat to be recorded. */
export type RecordedBeat = Pick<ModuleRecord, 'registrationId' | 'heartbeatMs' | 'expiresMs' | 'beat'>;

/** What ends with a registration that takes its place, and why. */
export interface Superseded {
  readonly registrationIds: readonly string[];
  readonly reason: string;
}

/** The record of registrations; rejects as Store does. */
export interface ModuleStore {
  /** Every registration, also those that have ended, and the time by the clock of the database. */
  list(): Promise<{ readonly nowMs: number; readonly records: ModuleRecord[] }>;
  /** The encoded ModuleContent of a plugin bundle. */
  content(registrationId: string): Promise<Buffer | undefined>;
  /**
   * Records a registration, and the end of those that it takes the place of, at once. False, and nothing is written, if another one of
   * that name and version has not ended; also for two replicas at the same instant. A registration that is recorded already stays.
   */
  add(record: ModuleRecord, content: Buffer | undefined, superseded: Superseded): Promise<boolean>;
  /** Records what a registration says now. False if it has ended or is unknown. */
  change(
    record: Pick<ModuleRecord, 'registrationId' | 'registration' | 'expiresMs' | 'renews'>,
  ): Promise<boolean>;
  /** Records heartbeats, except those that are older than what is recorded. */
  beat(beats: readonly RecordedBeat[]): Promise<void>;
  /** Ends registrations that have not ended. */
  end(registrationIds: readonly string[], reason: string): Promise<void>;
  /** Forgets registrations that ended before this time, and their content. */
  forget(endedBeforeMs: number): Promise<void>;
  /** Forgets mediators whose registration ended before this time. */
  forgetMediators(endedBeforeMs: number): Promise<void>;
}
