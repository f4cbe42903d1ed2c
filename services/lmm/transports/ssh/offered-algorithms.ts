/** A greeting and first packet that are larger than this are not read. */
const BYTES_MAX = 128 * 1024;
const NEWLINE = 0x0a;
const KEXINIT = 20;
const COOKIE_BYTES = 16;
/** Length of the packet and of its padding. */
const PACKET_HEAD_BYTES = 5;

/** Watches the first bytes of a server for the host key algorithms that it offers. */
export interface OfferedAlgorithms {
  push(chunk: Buffer): void;
  /** Names of algorithms, such as "rsa-sha2-512"; empty until they were read, or if they cannot be. */
  hostKeys(): readonly string[];
}

/** Reads what a server offers in plain text before the key exchange (RFC 4253, 4.2 and 7.1). Never throws. */
export function watchOfferedAlgorithms(): OfferedAlgorithms {
  let seen: Buffer | undefined = Buffer.alloc(0);
  let offered: readonly string[] = [];
  return {
    push(chunk) {
      if (seen === undefined) return;
      seen = Buffer.concat([seen, chunk.subarray(0, BYTES_MAX)]);
      const found = hostKeyAlgorithmsIn(seen);
      if (found !== undefined) offered = found;
      if (found !== undefined || seen.length > BYTES_MAX) seen = undefined;
    },
    hostKeys: () => offered,
  };
}

/** Undefined while bytes are missing. */
function hostKeyAlgorithmsIn(bytes: Buffer): readonly string[] | undefined {
  const start = endOfGreeting(bytes);
  if (start === undefined || bytes.length < start + PACKET_HEAD_BYTES) return undefined;
  const packet = bytes.subarray(start);
  const end = 4 + packet.readUInt32BE(0);
  if (end > BYTES_MAX) return [];
  if (packet.length < end) return undefined;
  const payload = packet.subarray(PACKET_HEAD_BYTES, end);
  if (payload[0] !== KEXINIT) return [];
  const kex = nameList(payload, 1 + COOKIE_BYTES);
  const hostKeys = kex && nameList(payload, kex.end);
  return hostKeys?.names ?? [];
}

/** A server may print lines before the one that begins with "SSH-". */
function endOfGreeting(bytes: Buffer): number | undefined {
  for (let at = 0; ;) {
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline === -1) return undefined;
    if (bytes.toString('latin1', at, at + 4) === 'SSH-') return newline + 1;
    at = newline + 1;
  }
}

function nameList(payload: Buffer, at: number): { names: string[]; end: number } | undefined {
  if (payload.length < at + 4) return undefined;
  const end = at + 4 + payload.readUInt32BE(at);
  if (payload.length < end) return undefined;
  const names = payload.toString('latin1', at + 4, end).split(',');
  return { names: names.filter((name) => name !== ''), end };
}
