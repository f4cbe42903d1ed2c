import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import type { Logger } from '../../shared/logging/logger.js';
import { newSpanId } from '../../shared/messages/ids.js';
import { localChanges } from './changes.js';
import type { Changes } from './changes.js';

const CHANNEL = 'rune_executions';
/** Before the key of a lock among the ids of a payload. */
const LOCK = 'lock=';
/** Each notification takes a lock that is one for the whole server: at most one transaction with some in this time. */
const NOTIFY_PAUSE_MS = 20;
/** PostgreSQL refuses 8,000 bytes and more. */
const PAYLOAD_BYTES_MAX = 7_900;
/** Payloads that one transaction sends, and ids that wait for the next: what is beyond is found by looking for it. */
const PAYLOADS_MAX = 8;
const WAITING_MAX = 20_000;
const RECONNECT_PAUSE_MIN_MS = 100;
const RECONNECT_PAUSE_MAX_MS = 5_000;
/** How often the listening connection is asked for an answer: a dead network says nothing by itself. */
const CHECK_PAUSE_MS = 10_000;

/** What telling other processes takes. */
export interface PostgresChangesTools {
  /** Sends notifications in one transaction. */
  notify(channel: string, payloads: readonly string[]): Promise<void>;
  /** For the connection that listens. */
  readonly config: ClientConfig;
  readonly logger: Logger;
}

/** Changes over LISTEN and NOTIFY. Listening begins with the first listener and goes on through lost connections. */
export function postgresChanges({ notify, config, logger }: PostgresChangesTools): Changes {
  const local = localChanges();
  const closing = new AbortController();
  // Own notifications come back too.
  const origin = newSpanId();
  const sending = createSender((payloads) => notify(CHANNEL, payloads), origin, logger, closing.signal);
  let listening: Promise<void> | undefined;

  const onNotification = (payload: string): void => {
    const [from, ids = ''] = payload.split(' ', 2);
    if (from === origin) return;
    for (const id of ids.split(',')) {
      if (id.startsWith(LOCK)) local.released([id.slice(LOCK.length)]);
      else if (id !== '') local.asked(id);
    }
  };
  const startListening = (): void => {
    listening ??= listen({ ...config }, onNotification, logger, closing.signal);
  };
  return {
    onChange(listener) {
      local.onChange(listener);
      startListening();
    },
    onRelease(listener) {
      local.onRelease(listener);
      startListening();
    },
    committed: (ids) => sending.add(ids),
    asked(id) {
      local.asked(id);
      sending.add([id]);
    },
    released(lockKeys) {
      local.released(lockKeys);
      sending.add(lockKeys.map((key) => LOCK + key));
    },
    async close() {
      closing.abort();
      await Promise.all([sending.idle(), listening]);
    },
  };
}

interface Sender {
  add(ids: Iterable<string>): void;
  idle(): Promise<void>;
}

function createSender(
  send: (payloads: readonly string[]) => Promise<void>,
  origin: string,
  logger: Logger,
  closing: AbortSignal,
): Sender {
  const waiting = new Set<string>();
  let running: Promise<void> | undefined;

  const work = async (): Promise<void> => {
    while (waiting.size > 0) {
      const payloads = takePayloads(waiting, origin);
      try {
        await send(payloads);
      } catch (error) {
        logger.debug('other replicas were not told of changes', { err: error });
      }
      if (closing.aborted) return;
      await wait(NOTIFY_PAUSE_MS);
    }
  };
  return {
    add(ids) {
      for (const id of ids) if (waiting.size < WAITING_MAX) waiting.add(id);
      if (waiting.size === 0 || closing.aborted) return;
      running ??= work().finally(() => (running = undefined));
    },
    idle: async () => running,
  };
}

/** Takes ids out of the set, as many as fit into the payloads of one transaction. */
function takePayloads(waiting: Set<string>, origin: string): string[] {
  const payloads: string[] = [];
  let payload = '';
  for (const id of waiting) {
    const more = payload === '' ? `${origin} ${id}` : `${payload},${id}`;
    if (Buffer.byteLength(more) <= PAYLOAD_BYTES_MAX) {
      payload = more;
    } else {
      if (payloads.length === PAYLOADS_MAX - 1) break;
      if (payload !== '') payloads.push(payload);
      payload = `${origin} ${id}`;
    }
    waiting.delete(id);
  }
  return [...payloads, payload];
}

async function listen(
  config: ClientConfig,
  onNotification: (payload: string) => void,
  logger: Logger,
  closing: AbortSignal,
): Promise<void> {
  let pauseMs = RECONNECT_PAUSE_MIN_MS;
  while (!closing.aborted) {
    try {
      await listenOnce(config, onNotification, closing, () => (pauseMs = RECONNECT_PAUSE_MIN_MS));
    } catch (error) {
      logger.debug('changes of other replicas are not heard', { err: error, retryMs: pauseMs });
    }
    // Rejects when the store closes, which the loop sees.
    await wait(pauseMs, undefined, { signal: closing }).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, RECONNECT_PAUSE_MAX_MS);
  }
}

/** Listens on one connection until that ends, answers nothing, or the store closes. */
async function listenOnce(
  config: ClientConfig,
  onNotification: (payload: string) => void,
  closing: AbortSignal,
  onListening: () => void,
): Promise<void> {
  const client = new Client(config);
  const ended = new Promise<void>((resolve) => {
    client.on('error', () => resolve());
    client.on('end', () => resolve());
    closing.addEventListener('abort', () => resolve(), { once: true });
  });
  client.on('notification', ({ channel, payload = '' }) => {
    if (channel === CHANNEL) onNotification(payload);
  });
  const stopped = new AbortController();
  try {
    await client.connect();
    await client.query(`listen ${CHANNEL}`);
    onListening();
    await Promise.race([ended, keepAsking(client, stopped.signal)]);
  } finally {
    stopped.abort();
    // Not waited for: a network that is gone lets it hang, and the next connection need not.
    client.end().catch(() => undefined);
  }
}

/** Settles when the server does not answer any more, or the signal aborts. */
async function keepAsking(client: Client, stopped: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await wait(CHECK_PAUSE_MS, undefined, { signal: stopped });
      await client.query('select 1');
    }
  } catch {
    // Both are reasons to end.
  }
}
