import type { ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';
import { ModuleHealth, type MediatorLoad } from '../../shared/gen/rune/v1/registry.js';

/** What a module last said of itself. */
export interface ModuleBeat {
  readonly health: ModuleHealth;
  readonly healthReason: string;
  readonly load: MediatorLoad | undefined;
  readonly lastActivity: Date | undefined;
  readonly draining: boolean;
}

/** A registration as it is recorded. Times are milliseconds since 1970, by the clock of the database. */
export interface ModuleRecord {
  readonly registrationId: string;
  readonly registration: ModuleRegistration;
  /** Names exactly the files of a plugin bundle; empty for a mediator. */
  readonly contentDigest: string;
  /** Who registered it, as the connection proves. */
  readonly registeredBy: string;
  readonly beat: ModuleBeat;
  readonly registeredMs: number;
  readonly heartbeatMs: number;
  readonly expiresMs: number;
  /** It said no time of expiry: it lives by its heartbeats. */
  readonly renews: boolean;
  /** 0 while it is not over. */
  readonly endedMs: number;
  readonly endReason: string;
}

/** What a module that has said nothing but its registration is taken for. */
export const FIRST_BEAT: ModuleBeat = {
  health: ModuleHealth.HEALTHY,
  healthReason: '',
  load: undefined,
  lastActivity: undefined,
  draining: false,
};

/** Name of the module of a record. */
export const nameOf = ({ registration }: Pick<ModuleRecord, 'registration'>): string =>
  registration.moduleIdentity?.moduleName ?? '';

/** Version of the module of a record. */
export const versionOf = ({ registration }: Pick<ModuleRecord, 'registration'>): string =>
  registration.moduleIdentity?.moduleVersion ?? '';

/** The module of a record as people name it, such as `tools@1.2.0`. */
export const titleOf = (record: Pick<ModuleRecord, 'registration'>): string =>
  `${nameOf(record)}@${versionOf(record)}`;
