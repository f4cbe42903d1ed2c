import type { NodeProbe, StopReason } from '../../shared/gen/rune/v1/run.js';
import type { Requirements } from '../../shared/gen/rune/v1/mrs.js';
import type { NodeTarget } from '../../shared/gen/rune/v1/lmm.js';

/** A file beside the plugin; its path is relative and holds letters, digits, ".", "_", "-" and "/" alone. */
export interface NodeFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/** The user that runs the plugin instead of the login, and the program of the node that makes it so. */
export interface RunAs {
  /** As USER_NAME: it becomes a word of the remote command. */
  readonly user: string;
  readonly become: 'sudo' | 'doas';
}

/** A value of the input that the node itself looks up. */
export interface InputReference {
  /** The parameter that has it. */
  readonly parameter: string;
  /** Its name in Parameter Store. */
  readonly name: string;
  /** The bytes of the input that are the JSON string in its place. */
  readonly start: number;
  readonly end: number;
}

/**
 * Everything a node needs to run one plugin once. Nothing of it is ever put into argv, an environment or a file, but for the
 * fields whose purpose that is.
 */
export interface NodeCommand {
  readonly runId: string;
  readonly target: NodeTarget;
  /** Undefined for the login itself. */
  readonly runAs: RunAs | undefined;
  /** The plugin's text; holds no NUL byte. */
  readonly script: Buffer;
  /** The shell library's text, or empty. */
  readonly library: Buffer;
  /** Bash that is evaluated between library and script, or empty; only for `stream`. */
  readonly helpers: Buffer;
  readonly delivery: 'stream' | 'directory';
  /** Only for `directory`. */
  readonly files: readonly NodeFile[];
  /** The plugin's arguments: who can see its process can read them. */
  readonly arguments: readonly string[];
  /** Variables of the plugin, by shell names: other processes of the same user can read them. */
  readonly environment: Readonly<Record<string, string>>;
  /** Looked at before the plugin starts. */
  readonly requires: Requirements;
  /** What the plugin reads on stdin: one JSON object. */
  readonly input: Buffer;
  /** In the order of their places; only for a transport that `resolvesReferences`. */
  readonly references?: readonly InputReference[];
  /** Do not kill what is alive after a normal end. */
  readonly leavesProcesses: boolean;
  /** Start the plugin in a transient scope of systemd, where the node gives one: then everything that it started is known. */
  readonly systemdScope: boolean;
  readonly timeoutMs: number;
  readonly killGraceMs: number;
  readonly connectTimeoutMs: number;
  /** Runs with the same one differ by nothing but node and input, and may be carried together; unset for none. */
  readonly dispatchGroup?: string;
}

/**
 * Where the plugin's output goes while it runs. Returning a promise from a data callback holds back the node (flow control)
 * until it settles. The bytes are the plugin's own: frame words are already taken out.
 */
export interface RunSink {
  /** The node said that the plugin's own process has begun. */
  started(): void;
  stdout(chunk: Buffer): void | Promise<void>;
  stderr(chunk: Buffer): void | Promise<void>;
  /** So many bytes of standard error before what comes next could not be carried. */
  stderrDropped?(bytes: number): void;
  /** The run is on its way, and nothing will be heard of it until it ends: words for who watches it. */
  waiting?(words: string): void;
}

/** How the plugin ended, as the node claims. */
export type PluginEnd = { readonly exitCode: number } | { readonly signal: string };

/**
 * The truth about one attempt. `ended`: the node said how the plugin ended. `lost`: the link ended first, and the plugin
 * may have run. That the plugin never started is not an ending but a thrown RuneError (NODE_*, HOST_KEY_*, …).
 */
export type NodeEnding =
  | {
      readonly kind: 'ended';
      readonly end: PluginEnd;
      /** Why the plugin was stopped; undefined for an end of its own. */
      readonly stopReason: StopReason | undefined;
      /** Nothing of the plugin is alive, by the node's word. */
      readonly confirmed: boolean;
      /** Something may still be alive: it could not be killed, or the node cannot tell. */
      readonly maySurvive: boolean;
      /** Processes alive after the plugin's own end. */
      readonly leftProcesses: number;
      /** Of so many bytes that the plugin printed, the transport could carry only the first; and why, if that is of interest. */
      readonly resultCut?: { readonly fromBytes: number; readonly why: string | undefined };
      readonly phases: RunPhases;
    }
  | {
      readonly kind: 'lost';
      /** One clause for a person: what happened to the link. */
      readonly reason: string;
      /** Whether the node had said that the plugin began. */
      readonly started: boolean;
      readonly stopReason: StopReason | undefined;
      /** Unix time in ms when the node has ended the plugin by itself at the latest. */
      readonly stoppedOnNodeByMs: number;
      readonly phases: RunPhases;
    };

/** Durations in milliseconds; 0 for a phase that was not reached. */
export interface RunPhases {
  readonly connectMs: number;
  readonly startMs: number;
  readonly runMs: number;
}

/** Asks a run to stop: aborted with the StopReason (CANCEL, ORPHANED or SHUTDOWN) as the signal's reason. */
export type StopSignal = AbortSignal;

/** A way to nodes. One shared contract suite describes what every transport does. */
export interface Transport {
  readonly name: string;
  /** False where output comes only when the plugin has ended. */
  readonly logStreaming?: false;
  /** False where the plugin goes on when its mediator is lost. */
  readonly stopsWithLink?: false;
  /** True where the node can look up references in Parameter Store. */
  readonly resolvesReferences?: true;
  /**
   * Runs the plugin once and resolves when its fate is known. Never rejects after the plugin may have started. Rejects with
   * a RuneError when it certainly did not.
   */
  run(command: NodeCommand, sink: RunSink, stop: StopSignal): Promise<NodeEnding>;
  /**
   * Goes on with a run that another process started through this kind of transport not before `sentAt`, as `run` does. Starts nothing:
   * what it cannot find is lost.
   */
  adopt?(command: NodeCommand, sink: RunSink, stop: StopSignal, sentAt: Date): Promise<NodeEnding>;
  /** Connects, checks the host key, authenticates, runs nothing. A node that cannot be used is an answer, not a rejection. */
  probe(target: NodeTarget, connectTimeoutMs: number, signal: AbortSignal): Promise<NodeProbe>;
  /** Ends idle connections and refuses new runs. Runs in flight are stopped by their own stop signals before. */
  close(): Promise<void>;
}
