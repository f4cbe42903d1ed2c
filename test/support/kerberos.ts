import { execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';

const run = promisify(execFile);

const REALM = 'RUNE.TEST';
const PASSWORD = 'of-a-test';

/** A real Kerberos realm on loopback: its own key distribution centre, database and tickets. */
export interface TestKerberos {
  /** For a server: where the key of `host/127.0.0.1` is. */
  readonly serverEnv: Readonly<Record<string, string>>;
  /** For a client: where the ticket of `root` is, or will be. */
  readonly clientEnv: Readonly<Record<string, string>>;
  /** Gets root's ticket. */
  login(): Promise<void>;
  /** Throws it away. */
  logout(): Promise<void>;
  /** Ends the centre; its files stay in the directory that it was given. */
  stop(): Promise<void>;
}

/** Starts a realm in this directory; needs krb5-kdc, krb5-admin-server and krb5-user. */
export async function startKerberos(directory: string): Promise<TestKerberos> {
  const file = (name: string): string => join(directory, name);
  const port = await freePort();
  const config = `[libdefaults]
  default_realm = ${REALM}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
[realms]
  ${REALM} = {
    kdc = 127.0.0.1:${port}
  }
`;
  const centre = `[kdcdefaults]
  kdc_listen = 127.0.0.1:${port}
  kdc_tcp_listen = 127.0.0.1:${port}
[realms]
  ${REALM} = {
    database_name = ${file('principal')}
    key_stash_file = ${file('stash')}
    acl_file = ${file('acl')}
  }
[logging]
  kdc = FILE:${file('kdc.log')}
`;
  await writeFile(file('krb5.conf'), config);
  await writeFile(file('kdc.conf'), centre);
  const common = { KRB5_CONFIG: file('krb5.conf') };
  const clientEnv = { ...common, KRB5CCNAME: `FILE:${file('tickets')}` };
  const env = {
    ...clientEnv,
    KRB5_KDC_PROFILE: file('kdc.conf'),
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
  };
  const admin = (query: string): Promise<unknown> => run('kadmin.local', ['-r', REALM, '-q', query], { env });
  await run('kdb5_util', ['create', '-s', '-P', PASSWORD, '-r', REALM], { env });
  await admin('addprinc -randkey host/127.0.0.1');
  await admin(`ktadd -k ${file('keytab')} host/127.0.0.1`);
  await admin(`addprinc -pw ${PASSWORD} root`);
  const kdc = spawn('krb5kdc', ['-n'], { stdio: 'ignore', env });
  const ended = new Promise<void>((resolve) => kdc.once('exit', () => resolve()));

  const login = async (): Promise<void> => {
    const asking = run('kinit', ['root'], { env });
    asking.child.stdin?.end(`${PASSWORD}\n`);
    await asking;
  };
  return {
    serverEnv: { ...common, KRB5_KTNAME: file('keytab') },
    clientEnv,
    // Until the centre listens, nobody answers.
    login: () => eventually(login, { label: 'a ticket' }),
    async logout() {
      await run('kdestroy', [], { env });
    },
    async stop() {
      kdc.kill('SIGKILL');
      await ended;
    },
  };
}
