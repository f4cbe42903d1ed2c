import { parseAddress } from '../../shared/rpc/rpc-address.js';

/** Whether a service can be dialled at `text`: `host:port`, `[IPv6]:port` or `unix:/path`. */
export function isAddress(text: string): boolean {
  try {
    const { port, unix } = parseAddress(text);
    return unix || port > 0;
  } catch {
    return false; // The callers report it with the flag or the line it came from.
  }
}
