import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { RuneError } from '../errors.js';

/** Certificate of a server, as PEM files. With `clientCaFile`, clients must show a certificate that it has signed. */
export interface ServerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string;
}

/** What a client trusts, and the certificate it shows, as PEM files. */
export interface ClientTls {
  readonly caFile: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Name in the server's certificate, where it differs from the address. */
  readonly serverName?: string;
}

/** Credentials to listen with. Throws CONFIGURATION_INVALID naming the file that cannot be used. */
export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const clientCa = tls.clientCaFile === undefined ? null : readPem(tls.clientCaFile, 'client CA');
  const pair = { cert_chain: readPem(tls.certFile, 'certificate'), private_key: readPem(tls.keyFile, 'key') };
  const files = [tls.certFile, tls.keyFile, tls.clientCaFile].filter((file) => file !== undefined).join(', ');
  return usable(files, () => {
    // The library would find a fault only when it listens, and not say where.
    createSecureContext({ cert: pair.cert_chain, key: pair.private_key, ca: clientCa ?? undefined });
    return ServerCredentials.createSsl(clientCa, [pair], clientCa !== null);
  });
}

/** Credentials to dial with. Throws CONFIGURATION_INVALID naming the file that cannot be used. */
export function clientCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    throw new RuneError(
      'CONFIGURATION_INVALID',
      'A client certificate needs both a certificate file and a key file.',
    );
  }
  const ca = readPem(tls.caFile, 'CA');
  const key = tls.keyFile === undefined ? null : readPem(tls.keyFile, 'key');
  const cert = tls.certFile === undefined ? null : readPem(tls.certFile, 'certificate');
  const files = [tls.caFile, tls.certFile, tls.keyFile].filter((file) => file !== undefined).join(', ');
  return usable(files, () => ChannelCredentials.createSsl(ca, key, cert));
}

function readPem(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The ${what} file ${file} cannot be read (${why}).`,
      {},
      { cause },
    );
  }
}

function usable<T>(files: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    // The library's own text may quote what it could not read.
    const message = `TLS cannot be set up from ${files}: not PEM, or key and certificate do not belong together.`;
    throw new RuneError('CONFIGURATION_INVALID', message, {}, { cause });
  }
}
