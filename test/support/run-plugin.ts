import type { NodeCommand, NodeEnding, RunSink, Transport } from '../../services/lmm/transports/transport.js';
import type { NodeTarget } from '../../services/shared/gen/rune/v1/lmm.js';
import type { StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { RuneError } from '../../services/shared/errors.js';
import { newId } from '../../services/shared/messages/ids.js';

/** A run under way. */
export interface PluginRun {
  readonly runId: string;
  /** Rejects as the transport does. */
  readonly ending: Promise<NodeEnding>;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** How often the node said that the plugin began. */
  readonly startedCount: () => number;
  stop(reason: StopReason): void;
}

/** What differs from a Bash plugin without library that reads {} and has 10 s. */
export type PluginChanges = Partial<Omit<NodeCommand, 'script' | 'library' | 'input' | 'target'>> & {
  readonly library?: string | Buffer;
  readonly input?: string | Buffer;
};

/** Makes the command for a plugin. */
export function commandFor(
  target: NodeTarget,
  script: string | Buffer,
  changes: PluginChanges = {},
): NodeCommand {
  return {
    runId: newId(),
    target,
    runAs: undefined,
    delivery: 'stream',
    helpers: Buffer.alloc(0),
    files: [],
    arguments: [],
    environment: {},
    requires: { commands: [], os: [] },
    leavesProcesses: false,
    systemdScope: false,
    timeoutMs: 10_000,
    killGraceMs: 300,
    connectTimeoutMs: 10_000,
    ...changes,
    script: Buffer.from(script),
    library: Buffer.from(changes.library ?? ''),
    input: Buffer.from(changes.input ?? '{}'),
  };
}

/** Starts a command and keeps what it prints, or gives it to another sink. */
export function runPlugin(
  transport: Pick<Transport, 'run'>,
  command: NodeCommand,
  sink?: RunSink,
): PluginRun {
  const controller = new AbortController();
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let startedCount = 0;
  const ending = transport.run(
    command,
    {
      started: () => {
        startedCount += 1;
        sink?.started();
      },
      stdout: (chunk) => (sink === undefined ? void out.push(chunk) : sink.stdout(chunk)),
      stderr: (chunk) => (sink === undefined ? void err.push(chunk) : sink.stderr(chunk)),
    },
    controller.signal,
  );
  // A test may look at the rejection later.
  ending.catch(() => undefined);
  return {
    runId: command.runId,
    ending,
    stdout: () => Buffer.concat(out).toString('latin1'),
    stderr: () => Buffer.concat(err).toString('latin1'),
    startedCount: () => startedCount,
    stop: (reason) => controller.abort(reason),
  };
}

/** The error of a run that did not take place. */
export async function refusalOf(run: PluginRun): Promise<RuneError> {
  let ending: NodeEnding;
  try {
    ending = await run.ending;
  } catch (error) {
    if (error instanceof RuneError) return error;
    throw error;
  }
  throw new Error(`It ran: ${JSON.stringify(ending)}`);
}
