import { FLEET_SSHD, fleetAddresses } from '../../test/support/fleet.js';
import { startWorld, sshNode, type World } from '../../test/support/world.js';

/** What a fleet is made of. */
export interface FleetOptions {
  readonly addresses: number;
  /** Names of each address; each is a node of its own. Default 1. */
  readonly nodesPerAddress?: number;
  readonly lom?: Record<string, unknown>;
  readonly lmm?: Record<string, unknown>;
}

/** A world with many nodes on loopback addresses, all of them one sshd. */
export interface Fleet extends World {
  readonly addresses: readonly string[];
  readonly nodes: readonly string[];
}

/** Does something with a fleet of its own: sshd, LMM and LOM as processes, an unprivileged user with an empty .bashrc. */
export async function withFleet<T>(options: FleetOptions, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  const addresses = fleetAddresses(options.addresses, 1);
  const names = addresses.flatMap((address) =>
    Array.from({ length: options.nodesPerAddress ?? 1 }, (_, index) => ({
      address,
      name: `node-${address}-${index}`,
    })),
  );
  const world = await startWorld({
    sshd: FLEET_SSHD,
    nodes: (sshd) =>
      Object.fromEntries(
        names.map(({ name, address }) => [name, { ...sshNode(sshd, sshd.users.unprivileged), address }]),
      ),
    ...(options.lom === undefined ? {} : { lom: options.lom }),
    ...(options.lmm === undefined ? {} : { lmm: options.lmm }),
  });
  try {
    return await work({ ...world, addresses, nodes: names.map(({ name }) => name) });
  } finally {
    // The nodes first: each run that hears of the end of its mediator looks through all processes of this machine.
    await world.sshd.stop();
    await world.stop();
  }
}
