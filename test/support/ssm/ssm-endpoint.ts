import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../eventually.js';
import { createAgent, type Agent } from './agent.js';
import { createCallFaults, type CallFaults } from './call-faults.js';
import { createCallRate } from './call-rate.js';
import type { Scope } from './command.js';
import { readDocument, RUN_SHELL_SCRIPT } from './document.js';
import { createGate } from './gate.js';
import { findMarked, killMarked } from './kill-marked.js';
import { createRecord, type SsmRecord } from './record.js';
import { serveAws } from './serve-aws.js';
import {
  emptyMailbox,
  expireCommands,
  makeSessionKey,
  takeReport,
  type ManagedInstance,
  type Service,
  type StoredParameter,
} from './service.js';
import type { SigningKey } from './verify-signature.js';

/** An instance of the endpoint. */
export interface InstanceOptions {
  readonly tags?: Readonly<Record<string, string>>;
  /** What its activation calls one that is not of EC2. */
  readonly name?: string;
  /** Default: the first region. */
  readonly region?: string;
  /** Default: the endpoint's own account. */
  readonly account?: string;
}

/** What an endpoint is made of; every part but the instances has a default. */
export interface SsmEndpointOptions {
  /** By id: "i-" or "mi-" and 17 letters or digits. */
  readonly instances: Readonly<Record<string, InstanceOptions>>;
  /** Default: us-east-1 alone. */
  readonly regions?: readonly string[];
  /** Command documents of one's own (schema 2.2, one aws:runShellScript step) by name. */
  readonly documents?: Readonly<Record<string, unknown>>;
  readonly parameters?: Readonly<Record<string, StoredParameter>>;
  readonly buckets?: readonly string[];
  /** A directory of programs that scripts find before those of the system. */
  readonly programs?: string;
  /** Roles by ARN: `granted` leads to the account in the ARN. */
  readonly roles?: Readonly<Record<string, 'granted' | 'denied'>>;
  /** Calls a second by operation, and as many at once; more are throttled. Default: no limit. */
  readonly ratesPerSecond?: Readonly<Record<string, number>>;
  /** How long a new command is hidden from reads; as long again it comes and goes. Default: 30. */
  readonly hiddenMs?: number;
  /** From the service to an agent. Default: 0. */
  readonly deliveryMs?: number;
  /** How long a reboot takes. Default: 50. */
  readonly rebootMs?: number;
  /** How long agents take a second of executionTimeout to last. Default: 1000. */
  readonly agentSecondMs?: number;
  /** How many scripts run at a time on all instances together, which are one machine; others wait as for their agent. Default: 16. */
  readonly scriptsMax?: number;
  /** From 0 to below 1; default: Math.random. */
  readonly random?: () => number;
}

/** What can be done to an instance. */
export interface TestInstance {
  readonly agent: Pick<Agent, 'crash' | 'restart' | 'reboot' | 'runningMax'>;
  /** What is sent waits until it comes back, or until the command's time is over. */
  disconnect(): void;
  connect(): void;
  /** What is sent is accepted and then fails, never delivered. */
  refuseDelivery(): void;
  /** Ends everything on it; nothing can be sent to it any more. */
  terminate(): void;
  /** Ids of the processes that its scripts left. */
  processes(): number[];
}

/** A Systems Manager of its own on loopback, with agents that really execute. */
export interface SsmEndpoint {
  readonly url: string;
  /** Where the disks of its instances are. */
  readonly directory: string;
  readonly region: string;
  readonly account: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** What a process needs in its environment to use it: AWS_ENDPOINT_URL, AWS_REGION and credentials. */
  readonly env: Readonly<Record<string, string>>;
  readonly record: SsmRecord;
  readonly faults: Pick<CallFaults, 'inject' | 'clear'>;
  instance(id: string): TestInstance;
  /** What is stored in S3 by "BUCKET/KEY". */
  object(path: string): Buffer | undefined;
  /** Puts the service's own clock forward: what is not over by then is DeliveryTimedOut. */
  passTime(seconds: number): void;
  /** Makes credentials of a session, as assuming a role does. */
  makeSession(
    seconds: number,
  ): Required<Pick<SigningKey, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>>;
  /** Ends every process and removes every file. Harmless when called twice. */
  stop(): Promise<void>;
}

const ACCOUNT = '123456789012';
const REGION = 'us-east-1';
const HIDDEN_MS = 30;
const REBOOT_MS = 50;
const SECOND_MS = 1000;
const SCRIPTS_MAX = 16;
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Starts an endpoint on a free loopback port. */
export async function startSsmEndpoint(options: SsmEndpointOptions): Promise<SsmEndpoint> {
  const directory = await mkdtemp(join(tmpdir(), 'rune-ssm-'));
  const regions = options.regions ?? [REGION];
  const region = regions[0] ?? REGION;
  const random = options.random ?? Math.random;
  const record = createRecord();
  const faults = createCallFaults(random);
  const key: SigningKey = {
    accessKeyId: 'AKIATESTTESTTESTTEST',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYTESTKEY',
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/rune`,
  };
  const gate = createGate(options.scriptsMax ?? SCRIPTS_MAX);
  let clockAheadMs = 0;
  const service: Service = {
    instances: new Map(),
    documents: new Map([
      ['AWS-RunShellScript', RUN_SHELL_SCRIPT],
      ...Object.entries(options.documents ?? {}).map(
        ([name, content]) => [name, readDocument(content)] as const,
      ),
    ]),
    parameters: new Map(Object.entries(options.parameters ?? {})),
    commands: new Map(),
    keys: new Map([[key.accessKeyId, key]]),
    roles: new Map(
      Object.entries(options.roles ?? {}).map(([arn, how]) => [
        arn,
        how === 'granted' ? arn.split(':')[4] : undefined,
      ]),
    ),
    buckets: new Set(options.buckets),
    objects: new Map(),
    hiddenMs: options.hiddenMs ?? HIDDEN_MS,
    deliveryMs: options.deliveryMs ?? 0,
    random,
    now: () => Date.now() + clockAheadMs,
  };
  for (const [id, { tags = {}, name, ...where }] of Object.entries(options.instances)) {
    const scope: Scope = { account: where.account ?? ACCOUNT, region: where.region ?? region };
    const agent = createAgent({
      instanceId: id,
      region: scope.region,
      directory: join(directory, id),
      secondMs: options.agentSecondMs ?? SECOND_MS,
      rebootMs: options.rebootMs ?? REBOOT_MS,
      gate,
      env: {
        PATH: [...(options.programs === undefined ? [] : [options.programs]), SYSTEM_PATH].join(':'),
        LANG: 'C.UTF-8',
      },
      parameter: (name) => {
        const found = service.parameters.get(name);
        // A secret one is never put into a script.
        return found?.type === 'String' ? found.value : undefined;
      },
      onExecution: record.sawExecution,
      onReport: (invocation, report) => takeReport(service, invocation, report),
      onBack: () => emptyMailbox(service, instance),
    });
    const instance: ManagedInstance = {
      id,
      scope,
      tags,
      ...(name === undefined ? {} : { name }),
      agent,
      presence: 'online',
      mailbox: [],
    };
    service.instances.set(id, instance);
  }

  const server = serveAws({
    service,
    regions,
    faults,
    rate: createCallRate(options.ratesPerSecond ?? {}),
    record,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    for (const { agent } of service.instances.values()) agent.terminate();
    await eventually(
      () => {
        killMarked(directory);
        return findMarked(directory).length === 0;
      },
      { label: 'every script to end' },
    );
    await rm(directory, { recursive: true, force: true });
  };

  return {
    url,
    directory,
    region,
    account: ACCOUNT,
    credentials: { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey },
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: key.accessKeyId,
      AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
    },
    record,
    faults,
    instance(id) {
      const instance = service.instances.get(id);
      if (instance === undefined) throw new Error(`The endpoint has no instance ${id}.`);
      return {
        agent: instance.agent,
        disconnect: () => void (instance.presence = 'unreachable'),
        connect() {
          instance.presence = 'online';
          emptyMailbox(service, instance);
        },
        refuseDelivery: () => void (instance.presence = 'undeliverable'),
        terminate() {
          instance.presence = 'gone';
          instance.agent.terminate();
        },
        processes: () => findMarked(join(directory, id)),
      };
    },
    object: (path) => service.objects.get(path),
    passTime(seconds) {
      clockAheadMs += seconds * 1000;
      expireCommands(service);
    },
    makeSession(seconds) {
      const session = makeSessionKey(ACCOUNT, `${key.arn}-session`, Date.now() + seconds * 1000);
      service.keys.set(session.accessKeyId, session);
      const { accessKeyId, secretAccessKey, sessionToken = '' } = session;
      return { accessKeyId, secretAccessKey, sessionToken };
    },
    stop: () => (stopped ??= stop()),
  };
}
