import { randomUUID } from 'node:crypto';
import type { Agent, AgentReport } from './agent.js';
import { isOver, limitOf, type Command, type Invocation, type Scope } from './command.js';
import type { CommandDocument } from './document.js';
import { combineOutput, truncateOutput } from './truncate-output.js';
import type { SigningKey } from './verify-signature.js';

/** A managed node as the service knows it. */
export interface ManagedInstance {
  readonly id: string;
  readonly scope: Scope;
  readonly tags: Readonly<Record<string, string>>;
  /** What its activation calls it; only for one that is not of EC2. */
  readonly name?: string;
  readonly agent: Agent;
  /** `unreachable`: what is sent waits; `undeliverable`: what is sent fails; `gone`: nothing can be sent. */
  presence: 'online' | 'unreachable' | 'undeliverable' | 'gone';
  readonly mailbox: Invocation[];
}

/** A parameter of Parameter Store. */
export interface StoredParameter {
  readonly type: 'String' | 'SecureString';
  readonly value: string;
}

/** Everything that the operations work on. */
export interface Service {
  readonly instances: Map<string, ManagedInstance>;
  readonly documents: ReadonlyMap<string, CommandDocument>;
  readonly parameters: ReadonlyMap<string, StoredParameter>;
  /** Oldest first. */
  readonly commands: Map<string, Command>;
  readonly keys: Map<string, SigningKey>;
  /** Roles by ARN: the account that assuming it leads to, or undefined where it is denied. */
  readonly roles: ReadonlyMap<string, string | undefined>;
  readonly buckets: ReadonlySet<string>;
  /** By "BUCKET/KEY". */
  readonly objects: Map<string, Buffer>;
  /** How long a command stays hidden from reads, and then as long again shows only now and then. */
  readonly hiddenMs: number;
  readonly deliveryMs: number;
  readonly random: () => number;
  /** Unix time in ms by the service's clock. */
  readonly now: () => number;
}

const STDOUT_BYTES_MAX = 24_000;
const STDERR_BYTES_MAX = 8000;
const COMBINED_CHARACTERS_MAX = 2500;

/** Whether a caller of this scope can see a command already. Reads are eventually consistent: a later one may see less. */
export function isVisible(service: Service, command: Command, scope: Scope): boolean {
  if (command.scope.account !== scope.account || command.scope.region !== scope.region) return false;
  const ageMs = Date.now() - command.acceptedAtMs;
  if (ageMs < service.hiddenMs) return false;
  return ageMs >= 2 * service.hiddenMs || service.random() < 0.5;
}

/** Hands over what MaxConcurrency allows; what MaxErrors forbids is terminated. */
export function dispatchCommand(service: Service, command: Command): void {
  const all = [...command.invocations.values()];
  const failed = all.filter(
    ({ status, details }) =>
      details === 'ExecutionTimedOut' || (status === 'Failed' && details !== 'Undeliverable'),
  );
  const waiting = all.filter((each) => !each.isDispatched && !isOver(each));
  if (failed.length > limitOf(command.maxErrors, all.length)) {
    for (const each of waiting) end(each, 'Cancelled', 'Terminated', service.now());
    return;
  }
  const active = all.filter((each) => each.isDispatched && !isOver(each)).length;
  const room = Math.max(1, limitOf(command.maxConcurrency, all.length)) - active;
  for (const invocation of waiting.slice(0, Math.max(0, room))) {
    invocation.isDispatched = true;
    setTimeout(() => deliver(service, invocation), service.deliveryMs);
  }
}

/** Brings an invocation to its instance, or leaves it in the mailbox of one that cannot be reached. */
export function deliver(service: Service, invocation: Invocation): void {
  if (isOver(invocation) || invocation.status === 'Cancelling') return;
  const instance = service.instances.get(invocation.instanceId);
  if (instance === undefined) return;
  if (instance.presence === 'undeliverable') {
    end(invocation, 'Failed', 'Undeliverable', service.now());
    dispatchCommand(service, invocation.command);
  } else if (instance.presence !== 'online' || !instance.agent.isAlive) {
    invocation.status = invocation.details = 'Delayed';
    instance.mailbox.push(invocation);
  } else {
    invocation.status = invocation.details = 'InProgress';
    instance.agent.accept(invocation);
  }
}

/** Delivers what waits for an instance. */
export function emptyMailbox(service: Service, instance: ManagedInstance): void {
  for (const invocation of instance.mailbox.splice(0)) deliver(service, invocation);
}

/** Stops what is not over yet, as far as it can be reached. */
export function cancelInvocation(service: Service, invocation: Invocation): void {
  if (isOver(invocation)) return;
  if (invocation.status !== 'InProgress') {
    if (invocation.status !== 'Cancelling') end(invocation, 'Cancelled', 'Cancelled', service.now());
    return;
  }
  invocation.status = invocation.details = 'Cancelling';
  const instance = service.instances.get(invocation.instanceId);
  setTimeout(() => {
    if (instance?.presence === 'online' && instance.agent.isAlive) instance.agent.cancel(invocation);
  }, service.deliveryMs);
}

/** Takes an agent's word, unless the service has given up before. */
export function takeReport(service: Service, invocation: Invocation, report: AgentReport): void {
  if (isOver(invocation)) return;
  const nowMs = service.now();
  const { command, instanceId } = invocation;
  invocation.responseCode = report.responseCode;
  if (report.startedAtMs !== undefined) invocation.startedAtMs = nowMs - (Date.now() - report.startedAtMs);
  const [stdout, stderr] = [invocation.stdout.bytes(), invocation.stderr.bytes()];
  const shown = {
    stdout: truncateOutput(stdout, STDOUT_BYTES_MAX),
    stderr: truncateOutput(stderr, STDERR_BYTES_MAX),
  };
  invocation.shown = {
    ...shown,
    combined: combineOutput(shown.stdout, shown.stderr, COMBINED_CHARACTERS_MAX),
  };
  if (service.buckets.has(command.output.bucket)) {
    for (const [name, bytes] of [
      ['stdout', stdout],
      ['stderr', stderr],
    ] as const) {
      const key = [command.output.keyPrefix, command.id, instanceId, command.step.outputFolder, name];
      if (bytes.length > 0)
        service.objects.set([command.output.bucket, ...key.filter((part) => part !== '')].join('/'), bytes);
    }
  }
  end(invocation, report.status, report.details, nowMs);
  dispatchCommand(service, command);
}

/** Ends what outlived its command's time, whether it was delivered or not. */
export function expireCommands(service: Service): void {
  const nowMs = service.now();
  for (const command of service.commands.values()) {
    if (command.expiresAtMs > nowMs) continue;
    for (const invocation of command.invocations.values()) {
      if (!isOver(invocation)) end(invocation, 'TimedOut', 'DeliveryTimedOut', nowMs);
    }
  }
}

function end(
  invocation: Invocation,
  status: Invocation['status'],
  details: Invocation['details'],
  nowMs: number,
): void {
  invocation.status = status;
  invocation.details = details;
  invocation.endedAtMs = nowMs;
}

/** Credentials of a role's session that were never given out before. */
export function makeSessionKey(account: string, arn: string, expiresAtMs: number): SigningKey {
  const random = randomUUID().replaceAll('-', '');
  return {
    accessKeyId: `ASIA${random.slice(0, 16).toUpperCase()}`,
    secretAccessKey: `${random}/test`,
    sessionToken: `session-${randomUUID()}`,
    expiresAtMs,
    account,
    arn,
  };
}
