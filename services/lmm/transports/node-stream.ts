import type { Readable } from 'node:stream';
import type { FrameDecoder } from './frame-decoder.js';

/** Where a node's stream goes. */
export interface NodeStreamOptions {
  readonly decoder: FrameDecoder;
  /** Called once, when nothing more will come. */
  readonly onClose: () => void;
}

/** One stream of a node while it is read. */
export interface NodeStream {
  /** Holds the stream back until the promise settles, however it settles. */
  holdFor(promise: Promise<void>): void;
  /** Whether a promise is holding it back. */
  isHeld(): boolean;
  /** Holds nothing back from now on. */
  release(): void;
}

/** Feeds a stream to its decoder, with flow control. */
export function readNodeStream(stream: Readable, options: NodeStreamOptions): NodeStream {
  let holds = 0;
  let released = false;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    options.decoder.finish();
    options.onClose();
  };
  const letGo = (): void => {
    holds -= 1;
    if (holds === 0 && !released) stream.resume();
  };
  stream.on('data', (chunk: Buffer) => options.decoder.push(chunk));
  stream.once('end', close);
  stream.once('close', close);
  stream.on('error', close);
  return {
    holdFor: (promise) => {
      holds += 1;
      if (!released) stream.pause();
      promise.then(letGo, letGo);
    },
    isHeld: () => holds > 0,
    release: () => {
      released = true;
      stream.resume();
    },
  };
}
