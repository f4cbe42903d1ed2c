/** What a script wrote to one stream; what is beyond the limit is dropped. */
export interface ScriptOutput {
  append(chunk: Buffer): void;
  clear(): void;
  bytes(): Buffer;
}

const BYTES_MAX = 64 * 1024 * 1024;

/** An empty output. */
export function createScriptOutput(): ScriptOutput {
  const chunks: Buffer[] = [];
  let count = 0;
  return {
    append(chunk) {
      if (count + chunk.length > BYTES_MAX) return;
      count += chunk.length;
      chunks.push(chunk);
    },
    clear() {
      chunks.length = 0;
      count = 0;
    },
    bytes: () => Buffer.concat(chunks),
  };
}
