import { commandScript, type ScriptLimits } from './command-script.js';
import { groupScript, sharingKey, type GroupMember } from './group-script.js';
import { scriptParameters } from './node-script.js';
import type { OutputBucket } from './output-bucket.js';
import type { Clock } from './rate-budget.js';
import { carries, groupComment, runComment } from './run-comment.js';
import {
  sendParcel,
  unsentError,
  type LoadedCommand,
  type SendSettings,
  type SentCommand,
} from './send-command.js';
import type { SsmAccess } from './ssm-access.js';

/** A run that is to be sent, until `stop` aborts. */
export interface SentRun extends GroupMember {
  readonly executionSeconds: number;
  readonly stop: AbortSignal;
}

/** Settings of sending runs together. Times in milliseconds. */
export interface TogetherSettings extends SendSettings {
  readonly document: string;
  readonly deliverySeconds: number;
  readonly script: ScriptLimits;
  /** Where outputs go; undefined for nowhere. */
  readonly outputBucket: OutputBucket | undefined;
  /** How long a run of a dispatch group waits for others of it; 0 not to. */
  readonly groupWaitMs: number;
}

/**
 * Sends runs, each one once, those of one dispatch group that come at a time with one command. Rejects with the RuneError of a run that
 * was not sent: nothing ran.
 */
export type SendRun = (run: SentRun) => Promise<SentCommand>;

/** A run on its way: it may wait, or be part of a request whose fate is not known yet, or be off. */
interface Rider extends SentRun {
  state: 'waiting' | 'loaded' | 'off';
  arrive(sent: SentCommand): void;
  fail(error: unknown): void;
  /** Called when it is off. */
  onOff: () => void;
}

interface Forming {
  readonly riders: Rider[];
  readonly depart: () => void;
}

/** What the service takes. */
const INSTANCES_MAX = 50;
/** Refusals of a command of which one of its instances may be the reason. */
const OF_ONE_INSTANCE = new Set([
  'InvalidInstanceId',
  'AccessDeniedException',
  'UnsupportedPlatformType',
  'ValidationException',
  'MaxDocumentSizeExceeded',
]);

const isWaiting = ({ state }: Rider): boolean => state === 'waiting';

/** Makes the sender of one region and identity. */
export function createSendTogether(access: SsmAccess, settings: TogetherSettings, clock: Clock): SendRun {
  const forming = new Map<string, Forming>();

  /** Undefined if one command cannot carry them all. Throws SSM_COMMAND_TOO_LARGE if none can carry the only one. */
  const pack = (riders: readonly Rider[]): LoadedCommand | undefined => {
    const [first] = riders as readonly [Rider];
    const { runId, dispatchGroup = '' } = first.command;
    const { document, deliverySeconds, outputBucket } = settings;
    const isAlone = riders.length === 1;
    const script = isAlone
      ? commandScript(first.command, settings.script)
      : groupScript(riders, settings.script);
    if (script === undefined) return undefined;
    const command = {
      instanceIds: riders.map(({ instanceId }) => instanceId),
      document,
      parameters: scriptParameters(script, settings.script.form),
      outputBucket,
      comment: isAlone ? runComment(runId) : groupComment(dispatchGroup),
      deliverySeconds,
      executionSeconds: first.executionSeconds,
    };
    return { command, isIt: carries(first.command) };
  };

  const sendPacked = async (riders: readonly Rider[], packed: LoadedCommand): Promise<void> => {
    const nobodyLeft = new AbortController();
    for (const rider of riders)
      rider.onOff = () => {
        if (!riders.some(isWaiting)) nobodyLeft.abort();
      };
    const parcel = {
      load() {
        const left = riders.filter(isWaiting);
        if (left.length === 0) return undefined;
        // Fewer fit where more did.
        const loaded = left.length === riders.length ? packed : pack(left);
        for (const rider of left) rider.state = 'loaded';
        return loaded;
      },
      unload() {
        for (const rider of riders) if (rider.state === 'loaded') rider.state = 'waiting';
        for (const rider of riders.filter(isWaiting)) if (rider.stop.aborted) rider.fail(stoppedError(rider));
      },
    };
    const sending = await sendParcel(access, parcel, { settings, clock, stop: nobodyLeft.signal });
    if (sending.kind === 'sent') {
      for (const rider of riders) if (rider.state === 'loaded') rider.arrive(sending.sent);
      return;
    }
    const left = riders.filter(isWaiting);
    if (sending.kind === 'refused' && left.length > 1 && OF_ONE_INSTANCE.has(sending.fault.code)) {
      const named = left.filter(({ instanceId }) => sending.fault.message.includes(instanceId));
      const alone = named.length === 0 ? left : named;
      const others = left.filter((rider) => !alone.includes(rider));
      await Promise.all([...alone.map((rider) => send([rider])), send(others)]);
      return;
    }
    for (const rider of left) rider.fail(unsentError(sending, aboutOf(rider)));
  };

  /** Sends those that still wait with one command, or with several where one cannot carry them. Never rejects. */
  const send = async (all: readonly Rider[]): Promise<void> => {
    const riders = all.filter(isWaiting);
    if (riders.length === 0) return;
    try {
      const packed = pack(riders);
      if (packed !== undefined) return await sendPacked(riders, packed);
    } catch (thrown) {
      for (const rider of riders) rider.fail(thrown);
      return;
    }
    const half = Math.ceil(riders.length / 2);
    await Promise.all([send(riders.slice(0, half)), send(riders.slice(half))]);
  };

  /** Lets a run wait for others that can go with it. */
  const gather = (rider: Rider, dispatchGroup: string): void => {
    const key = `${dispatchGroup} ${sharingKey(rider.command)}`;
    const full = forming.get(key);
    if (full?.riders.some(({ instanceId }) => instanceId === rider.instanceId) === true) full.depart();
    const found = forming.get(key) ?? form(key);
    found.riders.push(rider);
    if (found.riders.length === INSTANCES_MAX) found.depart();
  };

  const form = (key: string): Forming => {
    const depart = (): void => {
      cancelTimer();
      forming.delete(key);
      void send(riders);
    };
    const riders: Rider[] = [];
    const cancelTimer = clock.after(settings.groupWaitMs, depart);
    const formed = { riders, depart };
    forming.set(key, formed);
    return formed;
  };

  return (run) =>
    new Promise((resolve, reject) => {
      const rider = createRider(run, resolve, reject);
      const { dispatchGroup, references = [] } = run.command;
      // What a node looks up itself stands elsewhere in each upload.
      const isAlone = settings.groupWaitMs === 0 || references.length > 0;
      if (dispatchGroup === undefined || isAlone) void send([rider]);
      else if (isWaiting(rider)) gather(rider, dispatchGroup);
    });
}

const aboutOf = ({ command }: SentRun): { node: string; runId: string } => ({
  node: command.target.name,
  runId: command.runId,
});

const stoppedError = (run: SentRun): Error => unsentError({ kind: 'stopped' }, aboutOf(run));

/** A run that leaves by itself when it is stopped while it waits. */
function createRider(
  run: SentRun,
  resolve: (sent: SentCommand) => void,
  reject: (error: unknown) => void,
): Rider {
  const { stop } = run;
  const onStop = (): void => {
    if (isWaiting(rider)) rider.fail(stoppedError(run));
  };
  const end = (): void => {
    rider.state = 'off';
    stop.removeEventListener('abort', onStop);
    rider.onOff();
  };
  const rider: Rider = {
    ...run,
    state: 'waiting',
    onOff: () => undefined,
    arrive(sent) {
      end();
      resolve(sent);
    },
    fail(error) {
      end();
      reject(error);
    },
  };
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  return rider;
}
