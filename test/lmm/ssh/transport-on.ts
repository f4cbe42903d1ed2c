import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSshTransport, type SshTransport } from '../../../services/lmm/transports/ssh/ssh-transport.js';
import type { SshConfigSource } from '../../../services/lmm/transports/ssh/ssh-config-files.js';
import type { SshSettings } from '../../../services/lmm/transports/ssh/ssh-settings.js';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { NodeCommand, NodeEnding, RunSink } from '../../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../../services/shared/gen/rune/v1/lmm.js';
import { createLogger } from '../../../services/shared/logging/logger.js';
import { PassThrough } from 'node:stream';
import { nodeOf, sshLink } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';
import type { TestSshd } from '../../support/sshd.js';
import { staticCredentials } from '../../support/static-credentials.js';
import { sshdCredentials } from './sshd-credentials.js';

/** An SSH transport that can reach one test sshd, and what a test says to it. */
export interface TransportOn {
  readonly transport: SshTransport;
  readonly knownHostsPath: string;
  target(changes?: Partial<NodeTarget>): NodeTarget;
  command(script: string, changes?: Partial<NodeCommand>): NodeCommand;
  /** Runs a plugin and collects what it printed. */
  run(
    command: NodeCommand,
    stop?: AbortSignal,
  ): Promise<{ ending: NodeEnding; stdout: string; stderr: string }>;
}

/** What a sink was given, as text. */
export interface CollectedOutput {
  readonly sink: RunSink;
  readonly started: Promise<void>;
  stdout(): string;
  stderr(): string;
}

/** A sink that keeps everything. */
export function collectOutput(): CollectedOutput {
  const kept = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let start = (): void => undefined;
  const started = new Promise<void>((resolve) => {
    start = resolve;
  });
  return {
    sink: {
      started: () => start(),
      stdout: (chunk) => void kept.stdout.push(chunk),
      stderr: (chunk) => void kept.stderr.push(chunk),
    },
    started,
    stdout: () => Buffer.concat(kept.stdout).toString('utf8'),
    stderr: () => Buffer.concat(kept.stderr).toString('utf8'),
  };
}

/** Makes an SSH transport whose known_hosts file and credentials fit `sshd`. */
export async function transportOn(
  sshd: TestSshd,
  settings: Partial<SshSettings> = {},
  sshConfig?: SshConfigSource,
): Promise<TransportOn> {
  const knownHostsPath = join(sshd.directory, 'known_hosts');
  await writeFile(knownHostsPath, `${sshd.knownHostsLines.join('\n')}\n`);
  const transport = createSshTransport({
    ...staticCredentials(sshdCredentials(sshd)),
    knownHosts: [knownHostsPath],
    ...(sshConfig === undefined ? {} : { sshConfig }),
    settings: { filesRecheckMs: 0, ...settings },
    nodeProtocol: DEFAULT_NODE_PROTOCOL,
    logger: createLogger({ level: 'error', service: 'test', stream: new PassThrough().resume() }),
  });
  const unpinned = { ...nodeOf(sshLink(sshd, 'root')), hostKeyFingerprints: [] };
  const target = (changes: Partial<NodeTarget> = {}): NodeTarget => ({ ...unpinned, ...changes });
  return {
    transport,
    knownHostsPath,
    target,
    command: (script, changes = {}) =>
      commandFor(target(), script, { timeoutMs: 30_000, killGraceMs: 1_000, ...changes }),
    async run(command, stop = new AbortController().signal) {
      const output = collectOutput();
      const ending = await transport.run(command, output.sink, stop);
      return { ending, stdout: output.stdout(), stderr: output.stderr() };
    },
  };
}
