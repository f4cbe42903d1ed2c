import { setTimeout as delay } from 'node:timers/promises';
import type { ChaosService, ChaosServices } from './chaos-services.js';
import type { StoppedProcesses } from './faults.js';
import type { Deed } from './journal.js';
import { CORRUPTION, LINK_DEEDS } from './link-deeds.js';
import { readProcess } from './node-processes.js';
import type { Random } from './random.js';

/** From so long to so long. */
export interface Span {
  readonly minMs: number;
  readonly maxMs: number;
}

/** How often services are hurt, and for how long. */
export interface ServicePaces {
  /** Between two things that are done to one of the orchestrators, one of the mediators, the ways between them, the database. */
  readonly replicaPause: Span;
  readonly mediatorPause: Span;
  readonly wayPause: Span;
  readonly databasePause: Span;
  /** The longest that an orchestrator or a mediator stands still, and that anything is down. */
  readonly replicaStopMsMax: number;
  readonly mediatorStopMsMax: number;
  readonly downMsMax: number;
  /** After this time a network that swallows everything resets the connection. */
  readonly swallowMs: number;
}

/** What faults of the services are made of. */
export interface ServiceFaultWorld {
  readonly random: Random;
  readonly services: ChaosServices;
  readonly stopped: StoppedProcesses;
  readonly paces: ServicePaces;
  note(deed: Deed): void;
}

const STOP_MS_MIN = 100;
/** Most processes stand still no longer than this: others are to get something done. */
const SHORT_STOP_MS = 1_500;

/** What gRPC without TLS cannot notice is nobody's fault here. */
const WAY_DEEDS = Object.entries(LINK_DEEDS).filter(([name]) => name !== CORRUPTION);

/** Kills, stops and restarts orchestrators, mediators and the database and hurts the ways between them until the signal aborts. */
export async function hurtServices(world: ServiceFaultWorld, signal: AbortSignal): Promise<void> {
  const { services, stopped, paces, note } = world;
  const { swallowMs, downMsMax } = paces;

  const repeat = async (
    name: string,
    { minMs, maxMs }: Span,
    act: (random: Random) => Promise<void>,
  ): Promise<void> => {
    const random = world.random.fork(name);
    for (;;) {
      await delay(random.int(minMs, maxMs), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await act(random);
    }
  };

  const restart = async (
    service: ChaosService,
    end: NodeJS.Signals,
    downMs: number,
    about: Pick<Deed, 'on' | 'hits'>,
  ): Promise<void> => {
    const isUp = service.restart(end, downMs);
    const what = `${end} of ${service.name} (${service.process.pid}), down for ${downMs} ms`;
    note({ ...about, what, address: service.address, over: isUp.catch(() => undefined) });
    await isUp;
  };
  const standStill = (service: ChaosService, ms: number, about: Pick<Deed, 'on' | 'hits'>): void => {
    const victim = readProcess(service.process.pid);
    if (victim === undefined) return;
    const what = `STOP of ${service.name} (${victim.pid}) for ${ms} ms`;
    note({ ...about, what, address: service.address, over: stopped.stop(victim, ms) });
  };

  await Promise.all([
    repeat('replicas', paces.replicaPause, async (random) => {
      const replica = random.pick(services.replicas);
      const how = random.pick(['SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGTERM', 'STOP', 'STOP'] as const);
      const stopMs = drawStopMs(random, paces.replicaStopMsMax);
      const downMs = random.int(0, downMsMax);
      const about = { on: 'lom', hits: 'nothing' } as const;
      if (how === 'STOP') standStill(replica, stopMs, about);
      else await restart(replica, how, downMs, about);
    }),
    repeat('mediators', paces.mediatorPause, async (random) => {
      const mediator = random.pick(services.mediators.filter(({ isCalm }) => !isCalm));
      const isStop = random.chance(0.5);
      const stopMs = drawStopMs(random, paces.mediatorStopMsMax);
      const downMs = random.int(0, downMsMax);
      const about = { on: 'lmm', hits: 'mediator' } as const;
      if (isStop) standStill(mediator, stopMs, about);
      else await restart(mediator, 'SIGKILL', downMs, about);
    }),
    repeat('ways', paces.wayPause, (random) => {
      const [name, act] = random.pick(WAY_DEEDS);
      const open = services.ways.links();
      if (open.length === 0) return Promise.resolve();
      const way = random.pick(open);
      const address = `${way.address}:${services.ways.port}`;
      const over = act(way, { random, swallowMs });
      note({ on: 'way', hits: 'way', what: `${name}, way ${way.id}`, address, over });
      return Promise.resolve();
    }),
    repeat('database', paces.databasePause, async (random) => {
      const how = random.pick(['immediate', 'fast'] as const);
      const downMs = random.int(0, downMsMax);
      const isUp = services.postgres
        .halt(how)
        .then(() => delay(downMs))
        .then(services.postgres.start);
      const what = `${how} restart of the database, down for ${downMs} ms`;
      note({ on: 'database', hits: 'nothing', what, address: DATABASE, over: isUp.catch(() => undefined) });
      await isUp;
    }),
  ]);
}

const drawStopMs = (random: Random, longMs: number): number =>
  random.int(STOP_MS_MIN, random.chance(0.3) ? longMs : SHORT_STOP_MS);

/** The address under which the database is noted. */
export const DATABASE = 'database';
