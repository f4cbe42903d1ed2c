import type { Client } from 'ssh2';

/** What a host tells after the login (OpenSSH, PROTOCOL, 2.5): all keys that it has. */
const HOST_KEYS = 'hostkeys-00@openssh.com';

type OnGlobalRequest = (protocol: unknown, name: string, ...rest: readonly unknown[]) => void;

/**
 * Takes no note of the other keys that a host says it has. The library would have each of them proven by a signature and verify
 * that: a host with three keys makes three signatures for a connection, an RSA one among them, and nobody here learns keys from a
 * host. To be called after `connect`. The library has no setting for it; where it is made otherwise, all is as it was.
 */
export function ignoreOtherHostKeys(client: Client): void {
  const handlers = memberOf(memberOf(client, '_protocol'), '_handlers');
  const before = memberOf(handlers, 'GLOBAL_REQUEST');
  if (!isObject(handlers) || typeof before !== 'function') return;
  const onGlobalRequest: OnGlobalRequest = (protocol, name, ...rest) => {
    // A host wants no answer to it.
    if (name !== HOST_KEYS) Reflect.apply(before, handlers, [protocol, name, ...rest]);
  };
  Reflect.set(handlers, 'GLOBAL_REQUEST', onGlobalRequest);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const memberOf = (value: unknown, name: string): unknown =>
  isObject(value) ? Reflect.get(value, name) : undefined;
