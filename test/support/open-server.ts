import type { AddressInfo, Server, Socket } from 'node:net';

/** A server on a loopback port. */
export interface OpenServer {
  readonly port: number;
  /** Cuts its connections and ends it. */
  close(): Promise<void>;
}

/** Lets a server listen on a free loopback port. Faults of its connections are nobody's concern. */
export async function openServer(server: Server): Promise<OpenServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
