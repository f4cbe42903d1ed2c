import { setTimeout as delay } from 'node:timers/promises';
import { RegisteredModule, type WatchModulesResponse } from '../../shared/gen/rune/v1/registry.js';
import type { ModuleRegistry } from './module-registry.js';

type ModuleEvent = NonNullable<WatchModulesResponse['event']>;

/** Changes of one module in this time are shown as one. */
const PAUSE_MS = 100;
/** What changes by time alone is seen at least so often. */
const LOOK_MS = 1_000;

const idOf = ({ registration }: RegisteredModule): string =>
  registration?.registrationMetadata?.registrationId ?? '';

/**
 * The modules that `fits` chooses as they are, then `shown`, then each change, until the signal aborts. Neither a heartbeat nor a new
 * load is a change.
 */
export async function* watchModules(
  registry: ModuleRegistry,
  fits: (module: RegisteredModule) => boolean,
  signal: AbortSignal,
): AsyncGenerator<ModuleEvent, void, undefined> {
  const told = new Map<string, string>();
  let isChanged = true;
  let wake = (): void => undefined;
  const forget = registry.onChange(() => {
    isChanged = true;
    wake();
  });
  try {
    for (let isFirst = true; ; isFirst = false) {
      isChanged = false;
      const now = new Map(
        registry
          .list(false)
          .filter(fits)
          .map((module) => [idOf(module), module]),
      );
      for (const [id, module] of now) {
        const { lastHeartbeat: _at, load: _load, lastActivity: _activity, ...facts } = module;
        const text = JSON.stringify(
          RegisteredModule.toJSON(RegisteredModule.fromPartial(withoutExpiry(facts))),
        );
        if (told.get(id) === text) continue;
        told.set(id, text);
        yield { $case: 'module', value: module };
      }
      for (const id of told.keys()) {
        if (now.has(id)) continue;
        told.delete(id);
        yield { $case: 'gone', value: id };
      }
      if (isFirst) yield { $case: 'shown', value: {} };
      await delay(PAUSE_MS, undefined, { signal });
      if (isChanged) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        signal.addEventListener('abort', wake, { once: true });
      });
      signal.removeEventListener('abort', wake);
      signal.throwIfAborted();
    }
  } finally {
    forget();
  }
}

/** Each heartbeat of some modules moves the end of their registration. */
function withoutExpiry(facts: Partial<RegisteredModule>): Partial<RegisteredModule> {
  const { registration } = facts;
  const metadata = registration?.registrationMetadata;
  if (registration === undefined || metadata === undefined) return facts;
  return {
    ...facts,
    registration: { ...registration, registrationMetadata: { ...metadata, expiresAt: undefined } },
  };
}
