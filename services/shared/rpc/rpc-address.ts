import { isIPv4, isIPv6 } from 'node:net';
import { RuneError } from '../errors.js';

/** Where to listen or to dial: `host:port`, `[v6]:port` or `unix:/path`. */
export interface RpcAddress {
  /** Without brackets; the path for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket, and for "any free port" when listening. */
  readonly port: number;
  readonly unix: boolean;
}

/** Reads an address. Throws CONFIGURATION_INVALID that says how it should look. */
export function parseAddress(text: string): RpcAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path.startsWith('/')) return { host: path, port: 0, unix: true };
    throw malformed(text);
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(host))) throw malformed(text);
  return { host, port, unix: false };
}

/** The address as text again. */
export function formatAddress({ host, port, unix }: RpcAddress): string {
  if (unix) return `unix:${host}`;
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether a host can only be reached from this machine. Names other than "localhost" are never trusted to be. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:/i, '');
  if (isIPv4(bare)) return bare.startsWith('127.');
  return bare === '::1' || bare === 'localhost';
}

function malformed(text: string): RuneError {
  const message = `"${text}" is not an address: write host:port, [IPv6 address]:port or unix:/path.`;
  return new RuneError('CONFIGURATION_INVALID', message, { expectedFormat: 'host:port' });
}

/** Whether the text is `host:port` of something that can be dialled over a network. */
export function isAddressOfHost(text: string): boolean {
  try {
    const { port, unix } = parseAddress(text);
    return !unix && port > 0;
  } catch {
    // It throws for exactly those that are no address.
    return false;
  }
}
