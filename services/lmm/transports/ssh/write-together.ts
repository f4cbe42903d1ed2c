import type { Socket } from 'node:net';

/**
 * Lets what is written in one turn go out together. The library writes each packet in three pieces, and without Nagle's algorithm
 * each of them would be a call of the system and a packet of the network, for which the other side wakes up.
 */
export function writeTogether(socket: Socket): void {
  const { write } = socket;
  let gathers = false;
  const send = (): void => {
    gathers = false;
    socket.uncork();
  };
  socket.write = (...written: unknown[]): boolean => {
    if (!gathers) {
      gathers = true;
      socket.cork();
      process.nextTick(send);
    }
    return Reflect.apply(write, socket, written) as boolean;
  };
}
