import { startWorld, type World } from '../../test/support/world.js';

/** Does something in a world of its own: sshd, LMM and LOM as processes, users with an empty .bashrc. */
export async function withWorld<T>(work: (world: World) => Promise<T>): Promise<T> {
  const world = await startWorld({
    sshd: { loginFiles: { '.bashrc': '' }, extraConfig: ['Subsystem sftp internal-sftp'] },
  });
  try {
    return await work(world);
  } finally {
    await world.stop();
  }
}
