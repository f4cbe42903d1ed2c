import { Writable } from 'node:stream';
import { tmpdir } from 'node:os';
import { createLocalTransport } from '../../services/lmm/transports/local.js';
import { createOpensshConnections } from '../../services/lmm/transports/openssh/openssh-connections.js';
import { createSshTransport } from '../../services/lmm/transports/ssh/ssh-transport.js';
import type { SshSettings } from '../../services/lmm/transports/ssh/ssh-settings.js';
import { createSdkApi } from '../../services/lmm/transports/ssm/sdk-api.js';
import { SYSTEM_CLOCK } from '../../services/lmm/transports/ssm/rate-budget.js';
import { createSsmTransport } from '../../services/lmm/transports/ssm/ssm-transport.js';
import type { NodeProtocolSettings } from '../../services/lmm/transports/supervise.js';
import type { RunAs, Transport } from '../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../services/shared/gen/rune/v1/lmm.js';
import { createLogger } from '../../services/shared/logging/logger.js';
import type { TestSshd } from './sshd.js';
import { ssmSettings } from './ssm/ssm-settings.js';
import { staticCredentials } from './static-credentials.js';

/** A way to a test node, as data: another process can open it too. */
export type Link =
  | { readonly kind: 'local'; readonly runAs?: RunAs }
  | {
      readonly kind: 'ssm';
      readonly runAs?: RunAs;
      readonly url: string;
      readonly region: string;
      /** Each run goes to one of them: an agent runs five commands at a time. */
      readonly instanceIds: readonly string[];
    }
  | {
      readonly kind: 'ssh' | 'openssh';
      readonly runAs?: RunAs;
      readonly user: string;
      readonly port: number;
      readonly keyFile: string;
      readonly hostKeyFingerprints: readonly string[];
    };

/** The link to a test sshd as one of its users. */
export function sshLink(sshd: TestSshd, user: string, kind: 'ssh' | 'openssh' = 'ssh'): Link {
  const { port, userKeyPath: keyFile, hostKeyFingerprints } = sshd;
  return { kind, user, port, keyFile, hostKeyFingerprints };
}

/** For tests that change what a login does: every run logs in for itself. */
export const NO_SPARES: Partial<SshSettings> = { spareShellForMs: 0 };

/** The transport for a link, with what differs from the default SSH settings; with a run-as user, everything runs as that user. Close it. */
export function openLink(
  link: Link,
  nodeProtocol: NodeProtocolSettings,
  settings: Partial<SshSettings> = {},
): Transport {
  const transport = openTransport(link, nodeProtocol, settings);
  if (link.runAs === undefined) return transport;
  const { runAs } = link;
  return { ...transport, run: (command, sink, stop) => transport.run({ ...command, runAs }, sink, stop) };
}

function openTransport(
  link: Link,
  nodeProtocol: NodeProtocolSettings,
  settings: Partial<SshSettings>,
): Transport {
  if (link.kind === 'local') return createLocalTransport({ settings: nodeProtocol });
  if (link.kind === 'ssm') {
    return createSsmTransport({
      settings: ssmSettings({ ssmEndpoint: link.url }),
      connect: createSdkApi,
      clock: SYSTEM_CLOCK,
      random: Math.random,
    });
  }
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const options = {
    ...staticCredentials({ default: { keyFiles: [link.keyFile] } }),
    knownHosts: [],
    settings,
    nodeProtocol,
    logger: createLogger({ level: 'error', service: 'test', stream: silence }),
  };
  if (link.kind === 'ssh') return createSshTransport(options);
  const openssh = createOpensshConnections({
    program: { path: 'ssh', version: 'OpenSSH', checksPins: true },
    configFile: undefined,
    directoryBase: tmpdir(),
    env: {},
  });
  const transport = createSshTransport({ ...options, name: 'openssh', connect: openssh.connect });
  return {
    ...transport,
    async close() {
      await transport.close();
      await openssh.close();
    },
  };
}

/** The node at the other end of a link. */
export function nodeOf(link: Link): NodeTarget {
  const node = {
    name: 'web01',
    transport: link.kind,
    address: '127.0.0.1',
    credential: '',
    weakAlgorithms: false,
    jump: [],
    ssm:
      link.kind === 'ssm'
        ? { instanceId: anyOf(link.instanceIds), region: link.region, roleArn: '' }
        : undefined,
  };
  return link.kind === 'local' || link.kind === 'ssm'
    ? { ...node, port: 0, user: '', hostKeyFingerprints: [] }
    : { ...node, port: link.port, user: link.user, hostKeyFingerprints: [...link.hostKeyFingerprints] };
}

function anyOf(ids: readonly string[]): string {
  return ids[Math.floor(Math.random() * ids.length)] ?? '';
}
