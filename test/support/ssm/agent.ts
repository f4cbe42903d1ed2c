import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Gate } from './gate.js';
import type { Invocation, InvocationStatus, StatusDetails } from './command.js';
import { killMarked } from './kill-marked.js';
import { runScript, type RunningScript } from './run-script.js';

/** How the agent says that an invocation ended. */
export interface AgentReport {
  readonly status: InvocationStatus;
  readonly details: StatusDetails;
  readonly responseCode: number;
  readonly startedAtMs: number | undefined;
}

/** One start of a script. */
export interface Execution {
  readonly instanceId: string;
  readonly commandId: string;
  /** The file's text. */
  readonly script: string;
  /** 1, and more after reboots of the instance. */
  readonly attempt: number;
  readonly startedAtMs: number;
}

/** What an agent needs of its surroundings. */
export interface AgentOptions {
  readonly instanceId: string;
  readonly region: string;
  /** The instance's own; everything that its scripts keep open is found by a file in it. */
  readonly directory: string;
  /** How long a second of executionTimeout lasts. */
  readonly secondMs: number;
  readonly rebootMs: number;
  /** Around each execution. */
  readonly gate: Gate;
  readonly env: Readonly<Record<string, string>>;
  /** The value of a name in Parameter Store, as text; undefined for none. */
  readonly parameter: (name: string) => string | undefined;
  readonly onExecution: (execution: Execution) => void;
  readonly onReport: (invocation: Invocation, report: AgentReport) => void;
  /** The agent can be reached again. */
  readonly onBack: () => void;
}

/** The agent of one instance, and the instance around it. */
export interface Agent {
  /** Takes a command that was delivered. It waits while five others run. */
  accept(invocation: Invocation): void;
  cancel(invocation: Invocation): void;
  /** The agent is gone: what runs goes on, and nothing is reported. */
  crash(): void;
  /** The agent is back: it reports what ended meanwhile. */
  restart(): void;
  readonly isAlive: boolean;
  /** Ends every process of the instance. The agent comes back after a while, and executes again what had not ended. */
  reboot(): void;
  /** Ends every process of the instance for good. */
  terminate(): void;
  /** The most scripts that ran at a time. */
  readonly runningMax: number;
}

/** The agent's own CommandWorkersLimit. */
const WORKERS = 5;
/** How often the agent tries to end a command whose execution a reboot cut off. */
const ATTEMPTS_MAX = 15;
const TIMEOUT_SECONDS_MIN = 5;
const TIMEOUT_SECONDS_MAX = 172_800;
const TIMEOUT_SECONDS_DEFAULT = 3600;
const DEFAULT_DIRECTORY = '/usr/bin';

interface Running {
  readonly script: RunningScript;
  attempt: number;
  isCancelled: boolean;
}

/** Makes the agent of an instance that is up. */
export function createAgent(options: AgentOptions): Agent {
  const queue: { readonly invocation: Invocation; readonly attempt: number }[] = [];
  const running = new Map<Invocation, Running>();
  const unreported: (() => void)[] = [];
  const mark = join(options.directory, 'machine');
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  writeFileSync(mark, '');
  let isAlive = true;
  let isUp = true;
  let runningMax = 0;
  let rebootTimer: NodeJS.Timeout | undefined;

  const report = (invocation: Invocation, ending: AgentReport): void => {
    if (isAlive) options.onReport(invocation, ending);
    else unreported.push(() => options.onReport(invocation, ending));
  };

  const work = (): void => {
    if (!isUp || !isAlive) return;
    while (running.size < WORKERS && queue.length > 0 && options.gate.enter(work)) {
      const next = queue.shift() as (typeof queue)[number];
      execute(next.invocation, next.attempt);
    }
  };

  const execute = (invocation: Invocation, attempt: number): void => {
    const startedAtMs = Date.now();
    const { step, id } = invocation.command;
    const unknown: string[] = [];
    const text = `${step.lines.join('\n')}\n`.replace(
      /\{\{ *ssm:([\w./-]+) *\}\}/g,
      (whole, name: string) => {
        const value = options.parameter(name);
        if (value === undefined) unknown.push(name);
        return value ?? whole;
      },
    );
    if (unknown.length > 0) {
      invocation.stderr.append(
        Buffer.from(`Parameters [${unknown.join()}] could not be resolved from Parameter Store`),
      );
      report(invocation, { status: 'Failed', details: 'Failed', responseCode: 1, startedAtMs });
      options.gate.leave();
      return;
    }
    const folder = join(options.directory, 'document', 'orchestration', id, step.outputFolder);
    const file = join(folder, '_script.sh');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, text, { mode: 0o700 });
    options.onExecution({
      instanceId: options.instanceId,
      commandId: id,
      script: text,
      attempt,
      startedAtMs,
    });
    const script = runScript({
      file,
      workingDirectory: step.workingDirectory.startsWith('/') ? step.workingDirectory : DEFAULT_DIRECTORY,
      env: {
        ...options.env,
        SSM_COMMAND_ID: id,
        AWS_SSM_INSTANCE_ID: options.instanceId,
        AWS_SSM_REGION_NAME: options.region,
        AWS_SSM_PLATFORM_NAME: 'Amazon Linux',
        AWS_SSM_PLATFORM_VERSION: '2023',
      },
      mark,
      stdout: invocation.stdout.append,
      stderr: invocation.stderr.append,
    });
    const state: Running = { script, attempt, isCancelled: false };
    running.set(invocation, state);
    runningMax = Math.max(runningMax, running.size);
    const timer = setTimeout(script.kill, timeoutSeconds(step.timeoutSeconds) * options.secondMs);
    void script.ended.then((end) => {
      clearTimeout(timer);
      // A reboot took it.
      if (running.get(invocation) !== state) return;
      if (end.kind === 'exited' && end.code === REBOOT_CODE) {
        reboot();
        return;
      }
      running.delete(invocation);
      options.gate.leave();
      const ending = endingOf(end.kind === 'killed', state.isCancelled, end.code);
      if (ending.status === 'Failed')
        invocation.stderr.append(Buffer.from(`failed to run commands: ${end.error}`));
      addControlWords(invocation, end.code);
      report(invocation, { ...ending, startedAtMs });
      work();
    });
  };

  const reboot = (): void => {
    isUp = false;
    const cutOff = [...running.entries()];
    running.clear();
    for (const [, { script }] of cutOff) {
      script.kill();
      options.gate.leave();
    }
    killMarked(mark);
    clearTimeout(rebootTimer);
    rebootTimer = setTimeout(() => {
      isUp = true;
      isAlive = true;
      for (const [invocation, { attempt }] of cutOff.toReversed()) {
        if (attempt < ATTEMPTS_MAX) queue.unshift({ invocation, attempt: attempt + 1 });
      }
      work();
      options.onBack();
    }, options.rebootMs);
  };

  return {
    accept(invocation) {
      queue.push({ invocation, attempt: 1 });
      work();
    },
    cancel(invocation) {
      const state = running.get(invocation);
      if (state !== undefined) {
        state.isCancelled = true;
        state.script.kill();
        return;
      }
      const waiting = queue.findIndex((each) => each.invocation === invocation);
      if (waiting < 0) return;
      queue.splice(waiting, 1);
      report(invocation, {
        status: 'Cancelled',
        details: 'Cancelled',
        responseCode: 1,
        startedAtMs: undefined,
      });
    },
    crash: () => (isAlive = false),
    restart() {
      isAlive = true;
      for (const each of unreported.splice(0)) each();
      work();
      options.onBack();
    },
    get isAlive() {
      return isAlive && isUp;
    },
    reboot,
    terminate() {
      isUp = false;
      clearTimeout(rebootTimer);
      const all = [...running.values()];
      running.clear();
      queue.length = 0;
      for (const { script } of all) {
        script.kill();
        options.gate.leave();
      }
      killMarked(mark);
    },
    get runningMax() {
      return runningMax;
    },
  };
}

const REBOOT_CODE = 194;
const STOP_WITH_SUCCESS_CODE = 168;
const STOP_WITH_FAILURE_CODE = 169;

/** What the agent makes of executionTimeout: anything that it does not like becomes an hour. */
function timeoutSeconds(text: string): number {
  const seconds = Math.trunc(Number(text));
  return seconds >= TIMEOUT_SECONDS_MIN && seconds <= TIMEOUT_SECONDS_MAX ? seconds : TIMEOUT_SECONDS_DEFAULT;
}

function endingOf(
  isKilled: boolean,
  isCancelled: boolean,
  code: number,
): Pick<AgentReport, 'status' | 'details' | 'responseCode'> {
  if (isKilled && isCancelled) return { status: 'Cancelled', details: 'Cancelled', responseCode: code };
  // The agent cannot tell its own kill from a script that says 137.
  if (isKilled || code === 137)
    return { status: 'TimedOut', details: 'ExecutionTimedOut', responseCode: code };
  if (code === 0 || code === STOP_WITH_SUCCESS_CODE)
    return { status: 'Success', details: 'Success', responseCode: code };
  return { status: 'Failed', details: 'Failed', responseCode: code };
}

/** What the agent itself prints for the two codes that end a document. */
function addControlWords(invocation: Invocation, code: number): void {
  if (code !== STOP_WITH_SUCCESS_CODE && code !== STOP_WITH_FAILURE_CODE) return;
  const how = code === STOP_WITH_SUCCESS_CODE ? 'succeeded' : 'Failed';
  const words = Buffer.from(
    `\nStep exited with code ${code}. Therefore, marking step as ${how}. Further document steps will be skipped.`,
  );
  invocation.stdout.append(words);
  if (code === STOP_WITH_SUCCESS_CODE) invocation.stderr.clear();
  else invocation.stderr.append(words);
}
