import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Credential } from '../../../services/lmm/credentials/credentials.js';
import type { ChannelEnd } from '../../../services/lmm/transports/channel.js';
import { createAuthWays } from '../../../services/lmm/transports/ssh/auth-ways.js';
import type { SshTarget } from '../../../services/lmm/transports/ssh/ssh-target.js';
import { readKnownHosts } from '../../../services/lmm/transports/ssh/known-hosts-files.js';
import { createLimiter } from '../../../services/lmm/transports/limiter.js';
import { createPool, type SshPool } from '../../../services/lmm/transports/ssh/pool.js';
import type { SshChannel } from '../../../services/lmm/transports/ssh/ssh-channel.js';
import { DEFAULT_SSH_SETTINGS, type SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import { RuneError } from '../../../services/shared/errors.js';
import type { TestSshd } from '../../support/sshd.js';
import { CREDENTIAL, TARGET } from './ssh-target.js';

const TIMEOUT_MS = 10_000;

/** What a credential is made of; the keys are read when the target is made. */
export interface TestCredential {
  readonly keyFiles: readonly string[];
  readonly agent?: string;
  readonly password?: string;
}

/** What a command printed and how its channel ended. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: ChannelEnd;
}

/** A pool whose known_hosts file and default credential fit one test sshd. */
export interface PoolOn {
  readonly pool: SshPool;
  readonly knownHostsPath: string;
  target(changes?: Partial<SshTarget> & { readonly config?: TestCredential }): SshTarget;
  open(command: string, target?: SshTarget, timeoutMs?: number): Promise<SshChannel>;
  /** Runs a plain command and collects what it says. */
  say(command: string, target?: SshTarget): Promise<Said>;
  /** The error that keeps a channel from being opened. */
  refusal(target: SshTarget, timeoutMs?: number): Promise<RuneError>;
}

/** Makes a pool for `sshd`, for root unless the target is changed. */
export async function poolOn(sshd: TestSshd, settings: Partial<SshSettings> = {}): Promise<PoolOn> {
  const knownHostsPath = join(sshd.directory, 'known_hosts');
  await writeFile(knownHostsPath, `${sshd.knownHostsLines.join('\n')}\n`);
  const all: SshSettings = { ...DEFAULT_SSH_SETTINGS, filesRecheckMs: 0, ...settings };
  const pool = createPool({
    knownHosts: readKnownHosts({
      paths: async () => [knownHostsPath],
      recheckMs: all.filesRecheckMs,
      onFault: () => undefined,
    }),
    authWays: createAuthWays(),
    handshakes: createLimiter(all.handshakesMax),
    settings: all,
  });
  const versions = new Map<string, Credential>();
  const credentialOf = (config: TestCredential): Credential => {
    const key = JSON.stringify(config);
    const known = versions.get(key);
    if (known !== undefined) return known;
    const credential: Credential = {
      ...CREDENTIAL,
      version: versions.size,
      keys: config.keyFiles.map((path) => ({ path, content: readFileSync(path), passphrase: undefined })),
      agent: config.agent,
      password: config.password === undefined ? undefined : Buffer.from(config.password),
    };
    versions.set(key, credential);
    return credential;
  };
  const target: PoolOn['target'] = ({ config, ...changes } = {}) => ({
    ...TARGET,
    address: sshd.host,
    port: sshd.port,
    user: 'root',
    credential: credentialOf(config ?? { keyFiles: [sshd.userKeyPath] }),
    ...changes,
  });
  const open: PoolOn['open'] = async (command, to = target(), timeoutMs = TIMEOUT_MS) => {
    const limits = { timeoutMs, signal: new AbortController().signal };
    return (await pool.open(to, command, limits)).channel;
  };
  return {
    pool,
    knownHostsPath,
    target,
    open,
    async say(command, to) {
      const channel = await open(command, to);
      channel.stdin.end();
      const [stdout, stderr, end] = await Promise.all([
        text(channel.stdout),
        text(channel.stderr),
        channel.ended,
      ]);
      return { stdout, stderr, end };
    },
    async refusal(to, timeoutMs) {
      let channel: SshChannel;
      try {
        channel = await open('true', to, timeoutMs);
      } catch (error) {
        if (error instanceof RuneError) return error;
        throw error;
      }
      channel.destroy();
      throw new Error('a channel was opened');
    },
  };
}
