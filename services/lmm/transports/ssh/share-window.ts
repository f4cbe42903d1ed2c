import type { ClientChannel } from 'ssh2';

/** What an output may hold unread. A node that keeps to its window stays far below: twice 2 MiB. */
const UNREAD_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Lets a node send more only when both outputs of its channel have room: ssh2 gives room to both when either is read, so that
 * few bytes on one would let any number wait on the other. Calls `onOverrun` when the node sends without having been given room.
 */
export function shareWindow(stream: ClientChannel, onOverrun: () => void): void {
  const outputs = [stream, stream.stderr];
  const haveRoom = (): boolean =>
    outputs.every((output) => output.readableLength < output.readableHighWaterMark);
  let isOwed = false;
  for (const output of outputs) {
    const push = output.push.bind(output);
    const read = output.read.bind(output);
    const giveRoom = output._read.bind(output);
    output.push = (chunk: unknown, encoding?: BufferEncoding) => {
      push(chunk, encoding);
      if (output.readableLength > UNREAD_BYTES_MAX) onOverrun();
      isOwed ||= !haveRoom();
      return !isOwed;
    };
    output._read = (size) => {
      if (haveRoom()) giveRoom(size);
      else isOwed = true;
    };
    output.read = (size?: number): unknown => {
      const chunk: unknown = read(size);
      if (isOwed && haveRoom()) {
        isOwed = false;
        giveRoom(0);
      }
      return chunk;
    };
  }
}
