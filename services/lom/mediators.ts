import { createHash } from 'node:crypto';
import type { Node } from '../shared/gen/rune/v1/run.js';

/** One LMM process that LOM may dial, as configured. */
export interface MediatorEndpoint {
  /** host:port of one process. */
  readonly address: string;
  /** Nodes of this zone only; empty for nodes without a zone. */
  readonly zone: string;
}

const score = (node: string, address: string): string =>
  createHash('sha256').update(`${node}\n${address}`).digest('hex');

/**
 * The mediators of the node's zone, best first. Rendezvous hashing: a node always meets the same mediator, so that its warm
 * connection is used again, and one that joins or leaves moves only its own share.
 */
export function rankMediators(node: Node, endpoints: readonly MediatorEndpoint[]): MediatorEndpoint[] {
  const near = endpoints.filter((endpoint) => endpoint.zone === node.zone);
  if (near.length < 2) return near;
  return near
    .map((endpoint) => ({ endpoint, score: score(node.name, endpoint.address) }))
    .toSorted((a, b) => (a.score < b.score ? -1 : 1))
    .map(({ endpoint }) => endpoint);
}
