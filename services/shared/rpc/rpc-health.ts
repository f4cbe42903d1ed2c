import { RuneError } from '../errors.js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
} from '../gen/grpc/health/v1/health.js';
import type {
  HealthCheckRequest,
  HealthCheckResponse,
  HealthListResponse,
} from '../gen/grpc/health/v1/health.js';
import { bindService } from './rpc-binding.js';
import type { ServiceBinding } from './rpc-binding.js';
import type { CallContext } from './rpc-call.js';

/** The standard health service: "" and every service are SERVING until `stop` makes them NOT_SERVING. */
export interface Health {
  readonly binding: ServiceBinding;
  /** Tells every watcher and ends its stream: an open watch must not hold up the end of the server. */
  stop(): void;
}

/** Makes the health service for these full service names. */
export function createHealth(serviceNames: readonly string[]): Health {
  const known = new Set(['', ...serviceNames]);
  const stopping = new AbortController();
  const statusOf = (service: string): ServingStatus => {
    if (!known.has(service)) return ServingStatus.SERVICE_UNKNOWN;
    return stopping.signal.aborted ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
  };

  const binding = bindService(HealthService, {
    async check(request: HealthCheckRequest): Promise<HealthCheckResponse> {
      if (!known.has(request.service)) {
        throw new RuneError(
          'MODULE_NOT_FOUND',
          'This process does not serve the service that was asked for.',
        );
      }
      return { status: statusOf(request.service) };
    },
    async *watch(request: HealthCheckRequest, call: CallContext): AsyncGenerator<HealthCheckResponse> {
      yield { status: statusOf(request.service) };
      if (!stopping.signal.aborted) {
        await aborted(call.signal, stopping.signal);
        yield { status: statusOf(request.service) };
      }
    },
    async list(): Promise<HealthListResponse> {
      return { statuses: Object.fromEntries([...known].map((name) => [name, { status: statusOf(name) }])) };
    },
  });
  return { binding, stop: () => stopping.abort() };
}

/** Resolves when one of two signals has aborted, and leaves no listener on the other. */
function aborted(one: AbortSignal, other: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      one.removeEventListener('abort', done);
      other.removeEventListener('abort', done);
      resolve();
    };
    if (one.aborted || other.aborted) return done();
    one.addEventListener('abort', done);
    other.addEventListener('abort', done);
  });
}
