import { RuneError } from '../../shared/errors.js';
import { NAME, NAME_RULE, SEMVER_RULE } from '../../shared/bundle/file-rules.js';
import { isSemverRange } from '../../shared/bundle/semver-range.js';
import { isSemver } from '../../shared/bundle/semver.js';
import {
  MediatorConnection,
  ModuleRegistration,
  ModuleType,
  UpdateMode,
  type ActionCapability,
  type MediatorMetadata,
} from '../../shared/gen/rune/v1/mrs.js';
import { isAddressOfHost } from '../../shared/rpc/rpc-address.js';
import type { SchemaCompiler } from '../../shared/schema/schema.js';
import { createModuleFaults, type ModuleFaults } from './module-faults.js';

const NAME_CHARS_MAX = 64;
const TEXT_CHARS_MAX = 1_000;
const ITEMS_MAX = 64;
const RUNS_MAX = 100_000;
/** A bundle may say its schemas; a mediator declares no actions, and many of them are held in memory and fill one page of a list. */
const BUNDLE_BYTES_MAX = 1024 * 1024;
const MEDIATOR_BYTES_MAX = 32 * 1024;
const LIFETIME_MS_MAX = 10 * 366 * 24 * 60 * 60_000;
const PROTOCOL = 'rcs_v2';
const VERSION = '1.0';
const WORD = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

const IDENTITY = 'module_identity';
const CAPABILITY = 'capability_declaration';
const METADATA = `${CAPABILITY}.service_metadata`;

const isName = (text: string): boolean => text.length <= NAME_CHARS_MAX && NAME.test(text);

function checkIdentity({ moduleIdentity }: ModuleRegistration, faults: ModuleFaults): void {
  const { check } = faults;
  const { moduleName = '', moduleVersion = '', moduleClass = '', description = '' } = moduleIdentity ?? {};
  const type = moduleIdentity?.moduleType ?? ModuleType.UNSPECIFIED;
  if (check(moduleName !== '', 'FIELD_MISSING', `${IDENTITY}.module_name`, 'is required'))
    check(isName(moduleName), 'FIELD_MALFORMED', `${IDENTITY}.module_name`, NAME_RULE);
  if (check(moduleVersion !== '', 'FIELD_MISSING', `${IDENTITY}.module_version`, 'is required'))
    check(isSemver(moduleVersion), 'FIELD_MALFORMED', `${IDENTITY}.module_version`, SEMVER_RULE);
  if (check(type !== ModuleType.UNSPECIFIED, 'FIELD_MISSING', `${IDENTITY}.module_type`, 'is required')) {
    const isKnown = type === ModuleType.MEDIATOR || type === ModuleType.PLUGIN_PROVIDER;
    check(isKnown, 'FIELD_OUT_OF_RANGE', `${IDENTITY}.module_type`, 'must be plugin_provider or mediator');
  }
  for (const [field, text] of Object.entries({ module_class: moduleClass, description })) {
    const rule = `must have at most ${TEXT_CHARS_MAX} characters`;
    check(text.length <= TEXT_CHARS_MAX, 'FIELD_OUT_OF_RANGE', `${IDENTITY}.${field}`, rule);
  }
}

function checkRequirements(
  { technicalRequirements }: ModuleRegistration,
  schemas: SchemaCompiler,
  faults: ModuleFaults,
): void {
  const { supportedProtocols = [], dependencies = [], configurationSchema } = technicalRequirements ?? {};
  const root = 'technical_requirements';
  const speaks = supportedProtocols.length === 0 || supportedProtocols.includes(PROTOCOL);
  faults.check(
    speaks,
    'PROTOCOL_VERSION_MISMATCH',
    `${root}.supported_protocols`,
    `must include ${PROTOCOL}`,
  );
  const few = dependencies.length <= ITEMS_MAX;
  faults.check(few, 'FIELD_OUT_OF_RANGE', `${root}.dependencies`, `may have at most ${ITEMS_MAX} items`);
  for (const [index, { moduleName, versionRequirement }] of dependencies.slice(0, ITEMS_MAX).entries()) {
    const field = `${root}.dependencies[${index}]`;
    faults.check(isName(moduleName), 'FIELD_MALFORMED', `${field}.module_name`, NAME_RULE);
    const isRange = versionRequirement === '' || isSemverRange(versionRequirement);
    const rule = 'must be a range of versions such as ^1.2.0 or >=1.0.0 <2.0.0';
    faults.check(isRange, 'FIELD_MALFORMED', `${field}.version_requirement`, rule);
  }
  if (configurationSchema !== undefined)
    checkSchema(JSON.stringify(configurationSchema), `${root}.configuration_schema`, schemas, faults);
}

function checkSchema(text: string, field: string, schemas: SchemaCompiler, faults: ModuleFaults): void {
  try {
    schemas.compile(text, field);
  } catch (thrown) {
    const [first] = RuneError.from(thrown).facts.validationErrors ?? [];
    const where = first === undefined ? 'is no JSON Schema' : `${first.field} ${first.description}`;
    faults.add('SCHEMA_INVALID', field, where);
  }
}

function checkCapability(
  capability: ActionCapability,
  field: string,
  schemas: SchemaCompiler,
  faults: ModuleFaults,
): void {
  const { action, version, inputSchema, outputSchema } = capability;
  faults.check(isName(action), 'FIELD_MALFORMED', `${field}.action`, NAME_RULE);
  faults.check(isSemver(version), 'FIELD_MALFORMED', `${field}.version`, SEMVER_RULE);
  for (const [name, text] of Object.entries({ input_schema: inputSchema, output_schema: outputSchema })) {
    if (text !== '') checkSchema(text, `${field}.${name}`, schemas, faults);
  }
}

function checkMediator(metadata: MediatorMetadata, faults: ModuleFaults): void {
  const { check } = faults;
  const { address, zone, transports, maxConcurrentRuns, labels, connection, lmmInstanceId } = metadata;
  if (check(address !== '', 'FIELD_MISSING', `${METADATA}.address`, 'is required'))
    check(isAddressOfHost(address), 'FIELD_MALFORMED', `${METADATA}.address`, 'must be host:port');
  if (zone !== '') {
    const rule = 'must be letters, digits, ".", "_" and "-"';
    check(zone.length <= NAME_CHARS_MAX && WORD.test(zone), 'FIELD_MALFORMED', `${METADATA}.zone`, rule);
  }
  if (check(transports.length > 0, 'FIELD_MISSING', `${METADATA}.transports`, 'must name at least one')) {
    const good = transports.length <= ITEMS_MAX && transports.every(isName);
    check(good, 'FIELD_MALFORMED', `${METADATA}.transports`, 'must be names such as ssh');
  }
  const inBounds = maxConcurrentRuns >= 1 && maxConcurrentRuns <= RUNS_MAX;
  check(inBounds, 'FIELD_OUT_OF_RANGE', `${METADATA}.max_concurrent_runs`, `must be from 1 to ${RUNS_MAX}`);
  const few = Object.keys(labels).length <= ITEMS_MAX;
  check(few, 'FIELD_OUT_OF_RANGE', `${METADATA}.labels`, `may have at most ${ITEMS_MAX} items`);
  check(lmmInstanceId !== '', 'FIELD_MISSING', `${METADATA}.lmm_instance_id`, 'is required');
  const isDialled = connection !== MediatorConnection.OUTBOUND;
  const rule = 'is not served in this release: LOM dials its mediators';
  check(isDialled, 'FIELD_NOT_SUPPORTED', `${METADATA}.connection`, rule);
}

function checkTimes({ registrationMetadata }: ModuleRegistration, nowMs: number, faults: ModuleFaults): void {
  const {
    registrationVersion = '',
    expiresAt,
    updateMode = UpdateMode.UNSPECIFIED,
  } = registrationMetadata ?? {};
  const root = 'registration_metadata';
  const isKnown = registrationVersion === '' || registrationVersion === VERSION;
  faults.check(isKnown, 'PROTOCOL_VERSION_MISMATCH', `${root}.registration_version`, `must be ${VERSION}`);
  const isMode = Object.values<number>(UpdateMode).includes(updateMode);
  faults.check(isMode, 'FIELD_OUT_OF_RANGE', `${root}.update_mode`, 'must be replace, merge or append');
  if (expiresAt === undefined) return;
  const leftMs = expiresAt.getTime() - nowMs;
  const rule = 'must be in the future, at most ten years';
  faults.check(leftMs > 0 && leftMs <= LIFETIME_MS_MAX, 'FIELD_OUT_OF_RANGE', `${root}.expires_at`, rule);
}

/** Checks a registration apart from everything else that is registered. Throws the refusals of MRS, all faults listed. */
export function checkRegistration(
  registration: ModuleRegistration,
  nowMs: number,
  schemas: SchemaCompiler,
): void {
  const faults = createModuleFaults();
  const { length } = ModuleRegistration.encode(registration).finish();
  const isMediator = registration.moduleIdentity?.moduleType === ModuleType.MEDIATOR;
  const bytesMax = isMediator ? MEDIATOR_BYTES_MAX : BUNDLE_BYTES_MAX;
  if (length > bytesMax) {
    const rule = `must have at most ${bytesMax} bytes`;
    faults.add('FIELD_OUT_OF_RANGE', 'registration', rule);
    faults.throwIfAny();
  }
  checkIdentity(registration, faults);
  checkTimes(registration, nowMs, faults);
  checkRequirements(registration, schemas, faults);
  const { provides = [], serviceMetadata } = registration.capabilityDeclaration ?? {};
  if (isMediator) {
    const none = provides.length === 0;
    faults.check(none, 'FIELD_WRONG_TYPE', `${CAPABILITY}.provides`, 'is for plugin bundles');
    if (serviceMetadata === undefined) faults.add('FIELD_MISSING', METADATA, 'is required for a mediator');
    else checkMediator(serviceMetadata, faults);
  } else {
    faults.check(serviceMetadata === undefined, 'FIELD_WRONG_TYPE', METADATA, 'is for mediators');
    for (const [index, capability] of provides.entries())
      checkCapability(capability, `${CAPABILITY}.provides[${index}]`, schemas, faults);
  }
  faults.throwIfAny();
}
