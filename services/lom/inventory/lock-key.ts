import type { Node } from '../../shared/gen/rune/v1/run.js';
import { isOverSsh } from './is-over-ssh.js';

const SSH_PORT = 22;

/** Where a node is: "host:port", and behind it the hosts on the way, nearest first. Behind other hosts the same address is another machine. */
export function endpointOf({ address, port, jump }: Pick<Node, 'address' | 'port' | 'jump'>): string {
  const host = address.includes(':') ? `[${address.toLowerCase()}]` : address.toLowerCase();
  return [`${host}:${port || SSH_PORT}`, ...jump.toReversed()].join(' behind ');
}

/**
 * What a mutating action locks on a node, so that names of one machine share it: what the inventory says, else the host key that is
 * pinned (the first by its text), else where the node is. It holds neither spaces nor commas.
 */
export function lockKeyOf(node: Node, explicit: string | undefined): string {
  if (explicit !== undefined) return explicit;
  const [fingerprint] = node.hostKeyFingerprints.toSorted();
  if (fingerprint !== undefined) return fingerprint;
  if (node.transports.some(isOverSsh)) return endpointOf(node).replaceAll(' behind ', '/');
  if (node.ssm !== undefined) return `ssm:${node.ssm.instanceId}`;
  // The machine of a mediator of that zone.
  return ['local', node.zone, node.address.toLowerCase()].filter((part) => part !== '').join(':');
}
