import { packageVersion } from '../../shared/process/package-version.js';
import { RuneError } from '../../shared/errors.js';
import { MediatorConnection, ModuleRegistration, ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import { formatAddress, parseAddress } from '../../shared/rpc/rpc-address.js';

/** What a mediator says of itself when it registers. */
export interface MediatorAbout {
  readonly instanceId: string;
  /** Where it listens. */
  readonly address: string;
  /** Where orchestrators reach it, if that is another address; port 0 for the one that it listens on. */
  readonly advertise: string | undefined;
  readonly zone: string;
  readonly transports: readonly string[];
  readonly runsMax: number;
  readonly labels: Readonly<Record<string, string>>;
}

const ANY_HOSTS = new Set(['0.0.0.0', '::', '0:0:0:0:0:0:0:0']);

/** The address that orchestrators are told. Throws CONFIGURATION_INVALID where the one it listens on means nothing elsewhere. */
export function advertisedAddress(address: string, advertise: string | undefined): string {
  const listening = parseAddress(address);
  const told = advertise === undefined ? listening : parseAddress(advertise);
  if (told.unix || ANY_HOSTS.has(told.host)) {
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `Orchestrators cannot dial ${formatAddress(told)}: set advertise to an address of this process, such as $(POD_IP):0.`,
      { field: 'advertise' },
    );
  }
  return formatAddress(told.port === 0 ? { ...told, port: listening.port } : told);
}

/** The registration of a mediator: its name is that of its process. */
export function registrationOf(about: MediatorAbout): ModuleRegistration {
  return ModuleRegistration.fromPartial({
    moduleIdentity: {
      moduleName: `lmm-${about.instanceId}`,
      moduleClass: 'mediator',
      moduleType: ModuleType.MEDIATOR,
      moduleVersion: packageVersion(),
      description: `rune-lmm, process ${about.instanceId}`,
    },
    capabilityDeclaration: {
      serviceMetadata: {
        address: advertisedAddress(about.address, about.advertise),
        zone: about.zone,
        transports: [...about.transports],
        maxConcurrentRuns: about.runsMax,
        labels: { ...about.labels },
        connection: MediatorConnection.DIALLED,
        lmmInstanceId: about.instanceId,
      },
    },
    technicalRequirements: { supportedProtocols: ['rcs_v2'] },
    registrationMetadata: { registrationVersion: '1.0' },
  });
}
