/** A message of a stream as it goes over the wire, for a handler that has it so. The server sends it as it is. */
export class EncodedMessage {
  readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}
