import { RuneError } from '../../shared/errors.js';
import { matchesHostPatterns } from '../host-pattern.js';

/** One credential of the mediator's configuration. Only paths and names of variables: the secrets stay where they are. */
export interface CredentialConfig {
  /** Login for nodes whose inventory entry names none. */
  readonly user?: string;
  /** Private keys, tried in this order. */
  readonly keyFiles: readonly string[];
  /** Where the passphrase of the encrypted keys is. */
  readonly passphrase?: SecretPlace;
  /** Path of an ssh-agent's socket; its keys are tried after the files. */
  readonly agent?: string;
  /** Where the password is, which is tried last. */
  readonly password?: SecretPlace;
  /** Which program logs in with it where the node says only `ssh`: the library, or the system's ssh. Absent for the library. */
  readonly client?: 'openssh';
  /** OpenSSH certificates of the keys; only for the system's ssh. */
  readonly certificateFiles?: readonly string[];
  /** Log in with a Kerberos ticket too; only for the system's ssh. */
  readonly gssapi?: boolean;
  /** Addresses this credential may be used for: names, `*`, `?`, `!not-this`. Absent for all. */
  readonly allowedHosts?: readonly string[];
}

/** Where a secret text is; a newline at the end of a file is not part of it. */
export type SecretPlace = { readonly file: string } | { readonly variable: string };

/** A private key file as it was read. Never put one into a log or an error. */
export interface KeyFile {
  readonly path: string;
  readonly content: Buffer;
  readonly passphrase: Buffer | undefined;
}

/** A certificate file as it was read: a public thing. */
export interface CertificateFile {
  readonly path: string;
  readonly content: Buffer;
}

/** A credential with its secrets, as they were when it was loaded. Never put one into a log or an error. */
export interface Credential {
  readonly name: string;
  /** Another one for other secrets: a connection is used again only by runs that would log in with the same ones. */
  readonly version: number;
  readonly user: string | undefined;
  readonly keys: readonly KeyFile[];
  readonly agent: string | undefined;
  readonly password: Buffer | undefined;
  readonly client: 'openssh' | undefined;
  readonly certificates: readonly CertificateFile[];
  readonly gssapi: boolean;
}

/** A credential, or why it cannot be used, with the configuration it was loaded from. */
export type LoadedCredential = { readonly config: CredentialConfig } & (
  { readonly credential: Credential } | { readonly fault: RuneError }
);

/** The mediator's credentials at one moment. */
export interface CredentialSet {
  /**
   * The credential of that name, or `default` for an empty name. Throws CREDENTIAL_UNUSABLE if there is none or it cannot be
   * used, and CREDENTIAL_NOT_ALLOWED if its allowedHosts do not hold the address.
   */
  select(name: string, about: { readonly node: string; readonly address: string }): Credential;
}

/** The mediator's credentials, as configuration and files stand. */
export interface Credentials {
  /** Never rejects: what cannot be used says so when it is selected. */
  current(): Promise<CredentialSet>;
}

/** What a node uses whose inventory entry names no credential. */
const DEFAULT_CREDENTIAL = 'default';

/** The credentials to select from, by name. */
export function credentialSet(loaded: ReadonlyMap<string, LoadedCredential>): CredentialSet {
  return {
    select(name, { node, address }) {
      const wanted = name === '' ? DEFAULT_CREDENTIAL : name;
      const found = loaded.get(wanted);
      if (found === undefined) {
        const message = `This mediator has no credential ${JSON.stringify(wanted)}, which ${node} needs.`;
        throw new RuneError('CREDENTIAL_UNUSABLE', message, { node });
      }
      const { allowedHosts } = found.config;
      if (allowedHosts !== undefined && !matchesHostPatterns(allowedHosts, address)) {
        const message = `The credential ${JSON.stringify(wanted)} may not be used for ${node} (${address}): no pattern of its allowed_hosts fits.`;
        throw new RuneError('CREDENTIAL_NOT_ALLOWED', message, { node });
      }
      if ('credential' in found) return found.credential;
      const { name: error, message, cause } = found.fault;
      throw new RuneError(error, message, { node }, { cause });
    },
  };
}
