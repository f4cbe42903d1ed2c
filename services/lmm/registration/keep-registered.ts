import { toMs } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import type { ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';
import { HeartbeatModuleRequest, type RegistryServiceService } from '../../shared/gen/rune/v1/registry.js';
import { requestHeader } from '../../shared/messages/header.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { RpcClient } from '../../shared/rpc/rpc-client.js';
import { settledWithin } from '../../shared/settled-within.js';

/** The calls that a mediator makes to an orchestrator. */
export type RegistryClient = RpcClient<RegistryServiceService>;

/** What a mediator says in each heartbeat. */
export type MediatorBeat = Pick<HeartbeatModuleRequest, 'load' | 'lastActivity'>;

/** How a mediator registers. */
export interface RegistrationOptions {
  /** The orchestrators: any of them speaks for all that share a store. */
  readonly addresses: readonly string[];
  readonly connect: (address: string) => RegistryClient;
  readonly registration: ModuleRegistration;
  readonly beat: () => MediatorBeat;
  /** The longest pause between heartbeats; the orchestrator may ask for a shorter one. */
  readonly heartbeatMs: number;
  readonly logger: Logger;
}

/** A mediator that registers, and stays registered whatever orchestrators come and go. */
export interface Registration {
  /** Says that nothing new is taken any more. Never rejects, and takes at most a moment. */
  announceDraining(): Promise<void>;
  /** Ends the registration. Never rejects, and takes at most a moment. */
  end(reason: string): Promise<void>;
}

/** How long an orchestrator may take to answer. */
const CALL_TIMEOUT_MS = 3_000;
/** Pauses after failures: the first, and the longest. */
const RETRY_MS = 200;
const RETRY_MS_MAX = 5_000;

/** Registers, and says from then on that the mediator lives. */
export function keepRegistered(options: RegistrationOptions): Registration {
  const { addresses, logger } = options;
  let at = 0;
  let client: RegistryClient | undefined;
  let registrationId = '';
  let draining = false;
  let stopped = false;
  let failures = 0;
  let heartbeatMs = options.heartbeatMs;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

  const address = (): string => addresses[at % addresses.length] ?? '';
  const call = { timeoutMs: CALL_TIMEOUT_MS };
  const header = (eventType: string): ReturnType<typeof requestHeader> =>
    requestHeader(undefined, eventType, 'lmm', 'lom');

  const register = async (to: RegistryClient): Promise<void> => {
    const answer = await to.registerModule(
      { header: header('MODULE_REGISTER_REQUEST'), registration: options.registration, content: undefined },
      call,
    );
    registrationId = answer.module?.registration?.registrationMetadata?.registrationId ?? '';
    if (answer.heartbeatInterval !== undefined)
      heartbeatMs = Math.min(options.heartbeatMs, toMs(answer.heartbeatInterval));
    logger.info('registered with an orchestrator', { lom: address(), registration_id: registrationId });
  };

  const beat = async (to: RegistryClient): Promise<void> => {
    const request = {
      ...HeartbeatModuleRequest.create(),
      header: header('MODULE_HEARTBEAT'),
      registrationId,
      ...options.beat(),
      draining,
    };
    await to.heartbeatModule(request, call);
  };

  const failed = (error: RuneError): void => {
    failures += 1;
    if (error.name === 'MODULE_NOT_REGISTERED') {
      registrationId = '';
      logger.info('the registration is over: registering again', { lom: address() });
      return;
    }
    const fields = { lom: address(), reason: error.message, error: error.name };
    if (failures === 1) logger.warn('an orchestrator did not take the registration or the heartbeat', fields);
    else logger.debug('an orchestrator still does not take it', fields);
    // The next one knows the same, if they share a store.
    client?.close();
    client = undefined;
    at += 1;
  };

  const speak = async (): Promise<void> => {
    try {
      client ??= options.connect(address());
      if (registrationId === '') await register(client);
      await beat(client);
      failures = 0;
    } catch (thrown) {
      failed(RuneError.from(thrown));
    }
  };

  const inTurn = (task: () => Promise<void>): Promise<void> => {
    last = last.then(task);
    return last;
  };

  const pauseMs = (): number => {
    if (failures === 0) return heartbeatMs;
    // Every orchestrator is asked once before the pauses grow.
    const rounds = Math.floor((failures - 1) / addresses.length);
    return (
      Math.min(RETRY_MS * 2 ** rounds, RETRY_MS_MAX, Math.max(heartbeatMs, RETRY_MS)) *
      (0.5 + Math.random() / 2)
    );
  };

  const again = (): void => {
    if (!stopped) timer = setTimeout(() => void inTurn(speak).then(again), pauseMs());
  };

  const moment = async (task: () => Promise<void>): Promise<void> => {
    await settledWithin(inTurn(task), CALL_TIMEOUT_MS);
  };

  void inTurn(speak).then(again);

  return {
    announceDraining() {
      draining = true;
      return moment(speak);
    },
    async end(reason) {
      stopped = true;
      clearTimeout(timer);
      await moment(async () => {
        if (registrationId === '') return;
        try {
          client ??= options.connect(address());
          const request = {
            header: header('MODULE_DEREGISTER_REQUEST'),
            registrationId,
            reason,
            graceful: true,
          };
          await client.deregisterModule(request, call);
        } catch (thrown) {
          // Its heartbeats end all the same.
          logger.warn('the registration could not be ended', { err: RuneError.from(thrown) });
        }
      });
      client?.close();
    },
  };
}
