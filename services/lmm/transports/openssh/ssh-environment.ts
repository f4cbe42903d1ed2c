import type { Credential } from '../../credentials/credentials.js';

/** Variables of this process. */
export type Env = Readonly<Record<string, string | undefined>>;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Where a Kerberos ticket is, for credentials that use one. */
const KERBEROS = ['KRB5CCNAME', 'KRB5_CONFIG', 'KRB5_CLIENT_KTNAME'] as const;

/** All that the system's ssh sees of this process: messages in English, and where a ticket is if one is to be used. */
export function sshEnvironment(env: Env, credentials: readonly Credential[] = []): Record<string, string> {
  const tickets = credentials.some(({ gssapi }) => gssapi) ? KERBEROS : [];
  return {
    PATH: env['PATH'] ?? PATH,
    LC_ALL: 'C',
    ...Object.fromEntries(tickets.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))),
  };
}
