import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bindError } from '../settings/listen-faults.js';
import { formatAddress, type RpcAddress } from '../rpc/rpc-address.js';
import type { Logger } from '../logging/logger.js';

/** A text that is made anew whenever somebody asks for it. */
export interface ServedText {
  readonly path: string;
  readonly contentType: string;
  /** Undefined while there is none yet. */
  make(): Promise<string> | undefined;
}

/** A listener for one text. */
export interface TextListener {
  /** As it can be dialled. */
  readonly address: string;
  /** Ends it and every connection to it. */
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 32;
const HEADER_BYTES_MAX = 8 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
/** Longer than the pause between two scrapes, so that one connection serves them all. */
const KEEP_ALIVE_MS = 75_000;

/**
 * Serves a text over HTTP, without TLS and to whoever asks. Those who ask while it is made get the same one. Throws
 * CONFIGURATION_INVALID, which names the setting `field`, where it cannot listen.
 */
export async function serveText(
  listen: RpcAddress,
  field: string,
  text: ServedText,
  logger: Logger,
): Promise<TextListener> {
  let making: Promise<string> | undefined;
  const make = (): Promise<string> | undefined => {
    making ??= text.make()?.finally(() => (making = undefined));
    return making;
  };
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      answer(request, response).catch((thrown: unknown) => {
        logger.error('what was asked for could not be made', { path: text.path, err: thrown });
        if (response.headersSent) response.destroy();
        else end(response, 500, 'It could not be made; see the log.\n');
      });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // A body is not read; its connection ends with the answer.
    if (request.headers['content-length'] !== undefined || 'transfer-encoding' in request.headers)
      response.setHeader('connection', 'close');
    if (request.url?.split('?')[0] !== text.path) return end(response, 404, `Ask for ${text.path}.\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return end(response, 405, 'Ask with GET.\n');
    }
    const made = make();
    if (made === undefined) return end(response, 503, 'The service has not started yet.\n');
    end(response, 200, await made, text.contentType);
  };

  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(bindError(formatAddress(listen), cause, field)));
    server.listen(listen.unix ? { path: listen.host } : { host: listen.host, port: listen.port }, resolve);
  });
  // Nothing that a single connection does may end the service.
  server.on('error', (err) => logger.warn('a listener met a fault', { path: text.path, err }));
  const port = listen.unix ? 0 : (server.address() as AddressInfo).port;
  return {
    address: formatAddress({ ...listen, port }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** To HEAD, Node.js sends no body by itself. */
function end(response: ServerResponse, status: number, body: string, contentType = 'text/plain'): void {
  response.statusCode = status;
  response.setHeader('content-type', contentType);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}
