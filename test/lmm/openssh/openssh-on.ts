import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createOpensshConnections } from '../../../services/lmm/transports/openssh/openssh-connections.js';
import { connectByCredential } from '../../../services/lmm/transports/openssh/connect-by-credential.js';
import { connect } from '../../../services/lmm/transports/ssh/connect.js';
import type { SshProgram } from '../../../services/lmm/transports/openssh/ssh-program.js';
import { createSshTransport, type SshTransport } from '../../../services/lmm/transports/ssh/ssh-transport.js';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { CredentialConfigs } from '../../../services/lmm/credentials/watch-credentials.js';
import type { RuneError } from '../../../services/shared/errors.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { nodeOf, sshLink } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import { recordingLogger } from '../../support/recording-logger.js';
import {
  commandFor,
  refusalOf,
  runPlugin,
  type PluginChanges,
  type PluginRun,
} from '../../support/run-plugin.js';
import type { TestSshd } from '../../support/sshd.js';
import { staticCredentials } from '../../support/static-credentials.js';
import { sshdCredentials } from '../ssh/sshd-credentials.js';

/** What a test may have otherwise. */
export interface OpensshOnOptions {
  readonly settings?: Partial<SshSettings>;
  readonly program?: Partial<SshProgram>;
  readonly credentials?: CredentialConfigs;
  readonly configFile?: string;
  /** More variables of the mediator. */
  readonly env?: Readonly<Record<string, string>>;
  /** Use the library for credentials that do not ask for the system's ssh. */
  readonly byCredential?: boolean;
}

/** A transport `openssh` for one test sshd, in a directory of its own for everything that it makes. */
export interface OpensshOn {
  readonly transport: SshTransport;
  readonly knownHostsPath: string;
  /** Its private directory is made in here. */
  readonly base: string;
  target(changes?: Partial<NodeTarget>): NodeTarget;
  start(script: string, target?: Partial<NodeTarget>, changes?: PluginChanges): PluginRun;
  /** Runs a plugin to its end, and answers what it printed. */
  say(script: string, target?: Partial<NodeTarget>): Promise<string>;
  /** The error of a run that cannot begin. */
  refusal(target?: Partial<NodeTarget>, changes?: PluginChanges): Promise<RuneError>;
  /** Ids of the masters that are alive. */
  masters(): number[];
  /** Ids of everything that is alive and belongs to this transport. */
  processes(): number[];
}

let count = 0;

/** Makes the transport. Close it. */
export async function opensshOn(sshd: TestSshd, options: OpensshOnOptions = {}): Promise<OpensshOn> {
  count += 1;
  const base = join(sshd.directory, `t${count}`);
  await mkdir(base);
  const knownHostsPath = join(base, 'known_hosts');
  await writeFile(knownHostsPath, `${sshd.knownHostsLines.join('\n')}\n`);
  const openssh = createOpensshConnections({
    program: { path: 'ssh', version: 'OpenSSH', checksPins: true, ...options.program },
    configFile: options.configFile,
    directoryBase: base,
    env: { PATH: process.env['PATH'], SECRET_OF_THE_MEDIATOR: 'x', ...options.env },
  });
  const pooled = createSshTransport({
    ...staticCredentials({ ...sshdCredentials(sshd), ...options.credentials }),
    name: 'openssh',
    connect:
      options.byCredential === true
        ? connectByCredential({ library: connect, openssh: openssh.connect })
        : openssh.connect,
    knownHosts: [knownHostsPath],
    settings: { filesRecheckMs: 0, ...options.settings },
    nodeProtocol: DEFAULT_NODE_PROTOCOL,
    logger: recordingLogger().logger,
  });
  const transport: SshTransport = {
    ...pooled,
    async close() {
      await pooled.close();
      await openssh.close();
    },
  };
  const unpinned = { ...nodeOf(sshLink(sshd, 'root', 'openssh')), hostKeyFingerprints: [] };
  const target: OpensshOn['target'] = (changes = {}) => ({ ...unpinned, ...changes });
  const start: OpensshOn['start'] = (script, to, changes) =>
    runPlugin(transport, commandFor(target(to), script, changes));
  const processes = (): number[] => findProcesses(`${base}/rune-`);
  return {
    transport,
    knownHostsPath,
    base,
    target,
    start,
    async say(script, to) {
      const run = start(script, to);
      await run.ending;
      return run.stdout();
    },
    refusal: (to, changes) => refusalOf(start('echo it ran', to, changes)),
    masters: () => findProcesses(`-M\0-N\0-T\0-S\0${base}/rune-`).concat(findProcesses(`ssh: ${base}/rune-`)),
    processes,
  };
}
