import type { BashSyntax } from '../../shared/bundle/bash-syntax.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { SchemaCompiler } from '../../shared/schema/schema.js';
import type { Catalogue } from '../actions/catalogue.js';
import type { MediatorEndpoint } from '../mediators/mediators.js';
import type { ModuleStore } from '../store/module-store.js';
import type { ModuleTiming } from './lifecycle.js';

/** Settings of the registry. */
export interface ModuleRegistrySettings {
  readonly timing: ModuleTiming;
  /** Heartbeats are recorded at most so often, and those that other replicas recorded are looked for. */
  readonly recordIntervalMs: number;
  /** Registrations that have not ended. */
  readonly registeredMax: number;
  /** Who may register mediators, and who bundles, by what their connections prove. */
  readonly mediatorIdentities: readonly string[];
  readonly registrarIdentities: readonly string[];
  /** For so long a mediator that has left is waited for. */
  readonly leftMs: number;
}

/** What the registry works with. */
export interface ModuleRegistryDeps {
  readonly store: ModuleStore;
  readonly catalogue: Catalogue;
  readonly schemas: SchemaCompiler;
  readonly syntax: BashSyntax;
  /** The mediators of the configuration, and whether they stand there by default only: then those that register replace them. */
  readonly configured: readonly MediatorEndpoint[];
  readonly configuredByDefault: boolean;
  readonly settings: ModuleRegistrySettings;
  /** Hears of room at mediators, and that what is known of them has changed. */
  readonly onRoom: (count: number) => void;
  readonly onMediators: () => void;
  readonly logger: Logger;
}
