import { RuneError } from '../../../shared/errors.js';
import type { JumpHost, NodeTarget } from '../../../shared/gen/rune/v1/lmm.js';
import type { CredentialSet } from '../../credentials/credentials.js';
import type { Identities } from '../../credentials/identities.js';
import type { SshHost, SshTarget } from './ssh-target.js';
import type { SshConfig } from './ssh-config.js';

/** Where the rest of a target is found. */
export interface TargetLookup {
  readonly credentials: CredentialSet;
  readonly config: SshConfig;
  readonly identities: Identities;
}

/** A node as a connection needs it: its host, and its login or why there can be none. */
export interface ResolvedTarget {
  readonly host: SshHost;
  readonly login: SshTarget | RuneError;
}

const DEFAULT_PORT = 22;
const HOPS_MAX = 8;

/** Resolves a node and the way to it. Throws CREDENTIAL_* or NODE_UNREACHABLE if the way cannot be used. */
export async function resolveTarget(node: NodeTarget, lookup: TargetLookup): Promise<ResolvedTarget> {
  const hops = node.jump.length > 0 ? node.jump : proxyJumps(node.address, lookup.config, []);
  let via: SshTarget | undefined;
  for (const hop of hops) {
    const login = await loginTo(hop, hostOf(hop, via, lookup.config), lookup);
    if (login instanceof RuneError) {
      const message = `${node.name} is reached through ${hop.name}, and that failed: ${login.message}`;
      throw new RuneError(login.name, message, { node: node.name }, { cause: login, recoverAt: hop.name });
    }
    via = login;
  }
  const host = hostOf(node, via, lookup.config);
  return { host, login: await loginTo(node, host, lookup) };
}

/** The hosts of a ProxyJump, behind those of the first of them. */
function proxyJumps(address: string, config: SshConfig, from: readonly string[]): JumpHost[] {
  const specs = config.of(address).proxyJump;
  const [first] = specs;
  if (first === undefined) return [];
  const way = [...from, address];
  if (way.includes(first.host) || way.length + specs.length > HOPS_MAX) {
    const message = `The ProxyJump of ${address} in ssh_config leads in a circle, or through more than ${HOPS_MAX} hosts.`;
    throw new RuneError('NODE_UNREACHABLE', message);
  }
  const own = specs.map(({ host, port, user }) => ({
    name: host,
    address: host,
    port,
    user,
    credential: '',
    hostKeyFingerprints: [],
    weakAlgorithms: false,
  }));
  return [...proxyJumps(first.host, config, way), ...own];
}

function hostOf(fields: JumpHost, via: SshTarget | undefined, config: SshConfig): SshHost {
  const { hostName, port, hostKeyAlias } = config.of(fields.address);
  return {
    node: fields.name,
    address: hostName ?? fields.address,
    port: fields.port || (port ?? DEFAULT_PORT),
    hostKeyAlias,
    pins: fields.hostKeyFingerprints,
    weakAlgorithms: fields.weakAlgorithms,
    via,
  };
}

/** The host with its login, or why there can be none. */
async function loginTo(
  { credential: name, user: ownUser, address }: JumpHost,
  host: SshHost,
  { credentials, config, identities }: TargetLookup,
): Promise<SshTarget | RuneError> {
  const { node } = host;
  const { identityFiles, user: configUser } = config.of(address);
  try {
    const credential =
      name === '' && identityFiles.length > 0
        ? await identities(identityFiles, { node, address })
        : credentials.select(name, { node, address });
    const user = ownUser || configUser || credential.user;
    if (user) return { ...host, user, credential };
    const message = `Nothing says as which user to log in to ${node}: neither the inventory nor the credential ${JSON.stringify(credential.name)}.`;
    return new RuneError('CREDENTIAL_UNUSABLE', message, { node });
  } catch (error) {
    return RuneError.from(error);
  }
}
