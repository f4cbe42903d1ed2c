import { resolve } from 'node:path';
import { RuneError } from '../../../shared/errors.js';
import type { SshTarget } from '../ssh/ssh-target.js';
import type { SshSettings } from '../ssh/ssh-settings.js';
import type { HostFiles } from './workspace.js';

/** One host of a connection, and the files that say which host key it may have. */
export interface SshHop {
  readonly target: SshTarget;
  readonly files: HostFiles;
}

/** What a master is started with. */
export interface MasterOptions {
  readonly target: SshHop;
  /** The hosts on the way, from the mediator on. */
  readonly way: readonly SshHop[];
  readonly socket: string;
  /** The ssh_config file, or undefined for none. */
  readonly configFile: string | undefined;
  readonly limits: SshLimits;
}

/** Times within which ssh gives up by itself. */
export interface SshLimits extends Pick<SshSettings, 'keepaliveIntervalMs' | 'keepaliveCountMax'> {
  readonly connectTimeoutMs: number;
}

/** Names that ssh takes as nothing but a host or a user, wherever it puts them. */
const HOST = /^[0-9A-Za-z:][0-9A-Za-z._:%-]{0,254}$/;
const USER = /^[0-9A-Za-z._][0-9A-Za-z._@+-]{0,254}$/;
/** What has a meaning in the value of an option and cannot be written otherwise. */
const UNWRITABLE = /["\\\n\r\0]|\$\{/;

/** No question, no terminal, nothing forwarded, nothing taken from the user's own files or run on this machine. */
const ALWAYS = [
  'BatchMode=yes',
  'ClearAllForwardings=yes',
  'ControlPersist=no',
  'EscapeChar=none',
  'ForwardAgent=no',
  'ForwardX11=no',
  'PermitLocalCommand=no',
  'RequestTTY=no',
  'Tunnel=no',
] as const;

const WITHOUT_SHA1 = ['MACs=-*sha1*', 'KexAlgorithms=-*sha1*'] as const;
const WITH_SHA1 = [
  'KexAlgorithms=+diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1',
  'Ciphers=+aes256-cbc,aes192-cbc,aes128-cbc',
  'PubkeyAcceptedKeyTypes=+ssh-rsa',
] as const;
/** A pin names a key, so no certificate may stand in for it. */
const PLAIN_HOST_KEYS =
  'ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256';

/**
 * Arguments of an ssh that connects, logs in and then only serves others through its control socket. Throws INVALID_REQUEST
 * for an address or user that is none, and CREDENTIAL_UNUSABLE for what the system's ssh cannot use.
 */
export function masterArguments({ target, way, socket, configFile, limits }: MasterOptions): string[] {
  const jump = way.length > 0 ? [`ProxyJump=${hopAlias(way.length - 1)}`] : [];
  return [
    '-F',
    configFile ?? 'none',
    '-M',
    '-N',
    '-T',
    '-S',
    socket,
    ...written(['LogLevel=DEBUG1', ...connectionOptions(target, limits), ...jump]),
    ...destination(target.target),
  ];
}

/**
 * An ssh_config file with the hosts on the way to a node, under names that mean nothing to a shell: ssh starts itself once for
 * each, through one. Throws as `masterArguments` does.
 */
export function wayConfig(way: readonly SshHop[], configFile: string | undefined, limits: SshLimits): string {
  const hosts = way.map((hop, index) => {
    const { user, port, address } = checkedDestination(hop.target);
    const lines = [
      `HostName=${address.replaceAll('%', '%%')}`,
      `Port=${port}`,
      `User=${user}`,
      `ProxyJump=${index === 0 ? 'none' : hopAlias(index - 1)}`,
      'LogLevel=INFO',
      'ControlMaster=no',
      'ControlPath=none',
      ...connectionOptions(hop, limits),
    ];
    return [`Host ${hopAlias(index)}`, ...lines.map((line) => `  ${line}`), ''].join('\n');
  });
  const others = configFile === undefined ? [] : ['Match all', `  Include "${resolve(configFile)}"`, ''];
  return [...hosts, ...others].join('\n');
}

const hopAlias = (index: number): string => `rune-hop-${index}`;

/** How to verify a host and log in to it, as options that can stand in arguments and in a file alike. */
function connectionOptions({ target, files }: SshHop, limits: SshLimits): string[] {
  const { credential } = target;
  return [
    ...ALWAYS,
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${files.knownHosts}`,
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    'CheckHostIP=no',
    'VerifyHostKeyDNS=no',
    'NoHostAuthenticationForLocalhost=no',
    'FingerprintHash=sha256',
    // Once for every key that the node shows: the fingerprints that are pinned, as known_hosts lines.
    ...(files.pins === undefined
      ? []
      : [`KnownHostsCommand=/bin/sh ${files.pinCheck} ${files.pins} %f %t %K`]),
    ...(target.hostKeyAlias === undefined ? [] : [`HostKeyAlias=${checkedAlias(target)}`]),
    ...algorithms(target),
    `ConnectTimeout=${Math.ceil(limits.connectTimeoutMs / 1000)}`,
    'ConnectionAttempts=1',
    `ServerAliveInterval=${Math.ceil(limits.keepaliveIntervalMs / 1000)}`,
    `ServerAliveCountMax=${limits.keepaliveCountMax}`,
    'TCPKeepAlive=yes',
    'AddKeysToAgent=no',
    'CanonicalizeHostname=no',
    ...login(target),
    ...credential.keys.map(({ path }) => `IdentityFile=${optionPath(target, path)}`),
    ...(credential.keys.length === 0 ? ['IdentityFile=none'] : []),
    ...credential.certificates.map(({ path }) => `CertificateFile=${optionPath(target, path)}`),
  ];
}

/** Arguments of an ssh that runs `command` through the control socket of a master, and makes no connection of its own. */
export function sessionArguments(target: SshTarget, socket: string, command: string): string[] {
  // Without its master ssh would connect by itself: it is given nothing to do that with.
  const options = [
    ...ALWAYS,
    'LogLevel=DEBUG1',
    'ControlMaster=no',
    'ProxyCommand=false',
    'IdentityFile=none',
  ];
  return ['-F', 'none', '-T', '-S', socket, ...written(options), ...destination(target), command];
}

const written = (options: readonly string[]): string[] => options.flatMap((option) => ['-o', option]);

function destination(target: SshTarget): string[] {
  const { user, port, address } = checkedDestination(target);
  return ['-l', user, '-p', String(port), '--', address];
}

/** The name that a certificate of the host must hold in place of the address. */
function checkedAlias({ node, hostKeyAlias = '' }: SshTarget): string {
  if (HOST.test(hostKeyAlias)) return hostKeyAlias;
  const message = `The HostKeyAlias ${JSON.stringify(hostKeyAlias.slice(0, 100))} of ${node} is not a host name.`;
  throw new RuneError('INVALID_REQUEST', message, { node });
}

function checkedDestination({
  node,
  address,
  port,
  user,
}: SshTarget): Pick<SshTarget, 'address' | 'port' | 'user'> {
  const refuse = (field: string, value: string): RuneError =>
    new RuneError('INVALID_REQUEST', `${node}: ${JSON.stringify(value.slice(0, 100))} is not a ${field}.`, {
      node,
      field: `target.${field}`,
    });
  if (!HOST.test(address)) throw refuse('address', address);
  if (!USER.test(user)) throw refuse('user', user);
  return { address, port, user };
}

function algorithms({ pins, weakAlgorithms }: SshTarget): string[] {
  const weak = weakAlgorithms ? ',ssh-rsa' : '';
  if (pins.length > 0)
    return [`HostKeyAlgorithms=${PLAIN_HOST_KEYS}${weak}`, ...(weakAlgorithms ? WITH_SHA1 : WITHOUT_SHA1)];
  return weakAlgorithms
    ? ['HostKeyAlgorithms=+ssh-rsa', ...WITH_SHA1]
    : ['HostKeyAlgorithms=-ssh-rsa*,ssh-dss*', ...WITHOUT_SHA1];
}

/** How to log in: keys that the credential names and no others, its agent, its ticket. */
function login(target: SshTarget): string[] {
  const { credential } = target;
  const isProtected = credential.keys.some((key) => key.passphrase !== undefined);
  if (credential.password !== undefined) throw unusable(target, 'a password');
  if (isProtected) throw unusable(target, 'a passphrase (let an ssh-agent hold the key)');
  const methods = [...(credential.gssapi ? ['gssapi-with-mic'] : []), 'publickey'];
  return [
    `PreferredAuthentications=${methods.join(',')}`,
    'PubkeyAuthentication=yes',
    'PasswordAuthentication=no',
    'KbdInteractiveAuthentication=no',
    'HostbasedAuthentication=no',
    `GSSAPIAuthentication=${credential.gssapi ? 'yes' : 'no'}`,
    'GSSAPIDelegateCredentials=no',
    // With an agent, all of its keys are meant; IdentitiesOnly would leave out those that are in no file.
    `IdentitiesOnly=${credential.agent === undefined ? 'yes' : 'no'}`,
    `IdentityAgent=${credential.agent === undefined ? 'none' : optionPath(target, credential.agent)}`,
  ];
}

function unusable({ node, credential }: SshTarget, what: string): RuneError {
  const message = `The credential ${JSON.stringify(credential.name)} cannot be used for ${node}: the transport openssh cannot give ${what}.`;
  return new RuneError('CREDENTIAL_UNUSABLE', message, { node });
}

/** A path as the value of an option: absolute, so that "~" means nothing, and with the signs of ssh_config escaped. */
function optionPath({ node, credential }: SshTarget, path: string): string {
  const absolute = resolve(path);
  if (UNWRITABLE.test(absolute)) {
    const message = `The credential ${JSON.stringify(credential.name)} cannot be used for ${node}: ssh takes no path with quotes, backslashes, line breaks or \${, as in ${JSON.stringify(absolute)}.`;
    throw new RuneError('CREDENTIAL_UNUSABLE', message, { node });
  }
  return `"${absolute.replaceAll('%', '%%')}"`;
}
