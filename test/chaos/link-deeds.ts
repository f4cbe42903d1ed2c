import { setTimeout as delay } from 'node:timers/promises';
import type { BadLink, LinkEnd } from '../support/bad-link.js';
import type { Random } from './random.js';

/** What can be done to one connection; resolves when it is over. */
export type LinkDeed = (
  link: BadLink,
  world: {
    readonly random: Random;
    /** After this time a network that swallows everything resets the connection. */
    readonly swallowMs: number;
  },
) => Promise<unknown>;

/** The deed that only a link whose ends check every byte is to bear. */
export const CORRUPTION = 'a changed byte';

const STALL_MS_MAX = 4_000;
const DELAY_MS_MAX = 300;
const ENDS: readonly LinkEnd[] = ['caller', 'callee'];

/** All deeds by name. */
export const LINK_DEEDS: Readonly<Record<string, LinkDeed>> = {
  cut: (link) => (link.cut(), link.closed),
  'reset of the caller’s end': (link, { swallowMs }) => (link.reset('caller'), destroyLater(link, swallowMs)),
  'reset of the callee’s end': (link, { swallowMs }) => (link.reset('callee'), destroyLater(link, swallowMs)),
  'reset of both ends': (link) => (link.destroy(), link.closed),
  'half-close of the caller’s end': (link, { swallowMs }) => (
    link.halfClose('caller'),
    destroyLater(link, swallowMs)
  ),
  'half-close of the callee’s end': (link, { swallowMs }) => (
    link.halfClose('callee'),
    destroyLater(link, swallowMs)
  ),
  stall: (link, { random }) => {
    const ms = random.int(50, STALL_MS_MAX);
    link.stall(ms);
    return Promise.race([delay(ms, undefined, { ref: false }), link.closed]);
  },
  'black hole': (link, { swallowMs }) => (link.stall(Infinity), destroyLater(link, swallowMs)),
  latency: (link, { random }) => (link.delay(random.int(10, DELAY_MS_MAX)), link.closed),
  [CORRUPTION]: (link, { random }) => (link.corrupt(random.pick(ENDS)), link.closed),
};

async function destroyLater(link: BadLink, afterMs: number): Promise<void> {
  await Promise.race([delay(afterMs, undefined, { ref: false }), link.closed]);
  link.destroy();
  await link.closed;
}
