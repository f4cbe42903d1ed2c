import { ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import { ModuleSource, ModuleState, type RegisteredModule } from '../../shared/gen/rune/v1/registry.js';
import { escapeText } from '../render/escape-text.js';
import { renderValue } from '../render/render-value.js';
import { renderTable } from '../render/table.js';

const NAME_OF_STATE = new Map<number, string>(
  Object.entries(ModuleState).map(([name, value]) => [value, name.toLowerCase()]),
);
const SOURCES: Readonly<Record<number, string>> = {
  [ModuleSource.REGISTERED]: 'registered',
  [ModuleSource.DIRECTORY]: 'directory',
  [ModuleSource.CONFIGURED]: 'configured',
};

const isMediator = ({ registration }: RegisteredModule): boolean =>
  registration?.moduleIdentity?.moduleType === ModuleType.MEDIATOR;

/** The module as `name@version`, or its name alone where it has said no version. */
export function moduleLabel(module: RegisteredModule | undefined): string {
  const { moduleName = '', moduleVersion = '' } = module?.registration?.moduleIdentity ?? {};
  return moduleVersion === '' ? moduleName : `${moduleName}@${moduleVersion}`;
}

/** Its state, and why where that is not plain. */
export function stateWord(module: RegisteredModule | undefined): string {
  const word = NAME_OF_STATE.get(module?.state ?? 0) ?? 'unknown';
  return module === undefined || module.stateReason === '' ? word : `${word} (${module.stateReason})`;
}

/** What it offers, on one line. */
function about(module: RegisteredModule): string {
  const { serviceMetadata, provides = [] } = module.registration?.capabilityDeclaration ?? {};
  if (serviceMetadata === undefined)
    return `${provides.length} ${provides.length === 1 ? 'action' : 'actions'}`;
  const { address, zone, transports, maxConcurrentRuns } = serviceMetadata;
  const { runsActive = 0, runsMax = maxConcurrentRuns } = module.load ?? {};
  return [
    address,
    ...(zone === '' ? [] : [`zone ${zone}`]),
    ...(transports.length === 0 ? [] : [transports.join(',')]),
    ...(runsMax === 0 ? [] : [`${runsActive} of ${runsMax} runs`]),
  ].join(', ');
}

/** The modules as a table. */
export function renderModules(modules: readonly RegisteredModule[]): string[] {
  return renderTable(
    ['MODULE', 'TYPE', 'STATE', 'SOURCE', 'OFFERS'].map((header) => ({ header })),
    modules.map((module) =>
      [
        moduleLabel(module),
        isMediator(module) ? 'mediator' : 'bundle',
        stateWord(module),
        SOURCES[module.source] ?? '',
        about(module),
      ].map(escapeText),
    ),
  );
}

const time = (at: Date | undefined): string => at?.toISOString() ?? '';

/** One module as lines for people; what is not set is left out. */
export function renderModule(module: RegisteredModule, width: number): string[] {
  const { registration, load } = module;
  const { serviceMetadata, provides = [] } = registration?.capabilityDeclaration ?? {};
  const { registrationId = '', expiresAt } = registration?.registrationMetadata ?? {};
  const { dependencies = [] } = registration?.technicalRequirements ?? {};
  const connections = load?.connections;
  const facts = {
    description: registration?.moduleIdentity?.description ?? '',
    type: isMediator(module) ? 'mediator' : 'bundle',
    state: stateWord(module),
    source: SOURCES[module.source] ?? '',
    'registered by': module.registeredBy,
    registration: registrationId,
    expires: time(expiresAt),
    'last heartbeat': time(module.lastHeartbeat),
    digest: module.contentDigest,
    actions: provides.map(({ action, version }) => `${action}@${version}`),
    'depends on': dependencies.map(({ moduleName, versionRequirement }) =>
      `${moduleName} ${versionRequirement}`.trim(),
    ),
    address: serviceMetadata?.address ?? '',
    zone: serviceMetadata?.zone ?? '',
    transports: serviceMetadata?.transports ?? [],
    labels: serviceMetadata?.labels ?? {},
    ...(load === undefined
      ? {}
      : {
          runs: `${load.runsActive} of ${load.runsMax}, ${load.runsStarted} so far, ${load.runsRefused} refused`,
        }),
    ...(connections === undefined
      ? {}
      : {
          'ssh connections': `${connections.open} open, ${connections.idle} idle, ${connections.channelsOnWarm} of ${connections.channelsOpened} channels on one that was there`,
        }),
  };
  const set = Object.entries(facts).filter(([, value]) => Object.keys(value).length > 0);
  return [
    escapeText(moduleLabel(module)),
    ...renderValue(Object.fromEntries(set), width).map((line) => `  ${line}`),
  ];
}
