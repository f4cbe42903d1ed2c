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

/** Runs that go with one command. */
interface Party {
  riders: Rider[];
  /** Aborts when each of them left before it was sent. */
  readonly nobodyLeft: AbortController;
  /** Nobody may join any more. */
  readonly close: () => void;
}

/** One that others may join. */
interface Forming extends Party {
  /** Closes it and lets it go. */
  readonly seal: () => void;
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

  /** Marks as many of them as one command can carry as loaded, and answers it; the others go on by themselves. */
  const load = (party: Party): LoadedCommand | undefined => {
    party.close();
    party.riders = party.riders.filter(isWaiting);
    if (party.riders.length === 0) return undefined;
    try {
      const packed = pack(party.riders);
      if (packed !== undefined) {
        for (const rider of party.riders) rider.state = 'loaded';
        return packed;
      }
    } catch (thrown) {
      for (const rider of party.riders) rider.fail(thrown);
      return undefined;
    }
    sendApart(party.riders.splice(Math.ceil(party.riders.length / 2)));
    return load(party);
  };

  const unload = ({ riders }: Party): void => {
    for (const rider of riders) rider.state = 'waiting';
    for (const rider of riders) if (rider.stop.aborted) rider.fail(stoppedError(rider));
  };

  /** Sends a party when it is its turn; until then others may join it. Never rejects. */
  const send = async (party: Party): Promise<void> => {
    const parcel = { load: () => load(party), unload: () => unload(party) };
    const stop = party.nobodyLeft.signal;
    const sending = await sendParcel(access, parcel, { settings, clock, stop }).catch((error: unknown) => {
      for (const rider of party.riders) rider.fail(error);
    });
    party.close();
    if (sending === undefined) return;
    if (sending.kind === 'sent') {
      for (const rider of party.riders) rider.arrive(sending.sent);
      return;
    }
    const left = party.riders.filter(isWaiting);
    if (sending.kind === 'refused' && left.length > 1 && OF_ONE_INSTANCE.has(sending.fault.code)) {
      const named = left.filter(({ instanceId }) => sending.fault.message.includes(instanceId));
      const alone = named.length === 0 ? left : named;
      for (const rider of alone) sendApart([rider]);
      sendApart(left.filter((rider) => !alone.includes(rider)));
      return;
    }
    for (const rider of left) rider.fail(unsentError(sending, aboutOf(rider)));
  };

  const sendApart = (riders: readonly Rider[]): void => {
    if (riders.length === 0) return;
    const party = createParty(() => undefined);
    for (const rider of riders) board(party, rider);
    void send(party);
  };

  /** Lets a run go with others that can share a command with it, and wait for such. */
  const gather = (rider: Rider, dispatchGroup: string): void => {
    const key = `${dispatchGroup} ${sharingKey(rider.command)}`;
    const known = forming.get(key);
    if (known?.riders.some(({ instanceId }) => instanceId === rider.instanceId) === true) known.seal();
    const party = forming.get(key) ?? form(key);
    board(party, rider);
    if (party.riders.length === INSTANCES_MAX) party.seal();
  };

  const form = (key: string): Forming => {
    let isOff = false;
    const depart = (): void => {
      cancelTimer();
      if (!isOff) void send(party);
      isOff = true;
    };
    const cancelTimer = clock.after(settings.groupWaitMs, depart);
    const party: Forming = {
      ...createParty(() => {
        if (forming.get(key) === party) forming.delete(key);
      }),
      seal() {
        party.close();
        depart();
      },
    };
    forming.set(key, party);
    return party;
  };

  return (run) =>
    new Promise((resolve, reject) => {
      const rider = createRider(run, resolve, reject);
      const { dispatchGroup, references = [] } = run.command;
      // What a node looks up itself stands elsewhere in each upload.
      const isAlone = settings.groupWaitMs === 0 || references.length > 0;
      if (!isWaiting(rider)) return;
      if (dispatchGroup === undefined || isAlone) sendApart([rider]);
      else gather(rider, dispatchGroup);
    });
}

function createParty(close: () => void): Party {
  return { riders: [], nobodyLeft: new AbortController(), close };
}

function board(party: Party, rider: Rider): void {
  party.riders.push(rider);
  rider.onOff = () => {
    if (party.riders.some(isWaiting)) return;
    party.close();
    party.nobodyLeft.abort();
  };
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
