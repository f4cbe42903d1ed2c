import type { PeerCertificate } from 'node:tls';
import { isLoopbackHost } from './rpc-address.js';

/** Who is at the other end of a connection, by what the connection itself proves. */
export interface Identity {
  /**
   * "loopback" for a plaintext peer on this host, "unauthenticated" for one elsewhere, the certificate's subject
   * ("CN=rune-lom,O=Example") for mutual TLS, "anonymous" for TLS without a client certificate.
   */
  readonly name: string;
}

/** What a call tells about its connection. */
interface PeerView {
  getPeer(): string;
  getAuthContext(): { readonly sslPeerCertificate?: PeerCertificate };
}

const LOOPBACK: Identity = { name: 'loopback' };
const ANONYMOUS: Identity = { name: 'anonymous' };
const UNAUTHENTICATED: Identity = { name: 'unauthenticated' };

/** The identity of a call's peer. A subject always holds "=", so that no certificate can be named like a plaintext peer. */
export function identityOf(call: PeerView, tls: boolean): Identity {
  if (!tls) return isLoopbackPeer(call.getPeer()) ? LOOPBACK : UNAUTHENTICATED;
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) return ANONYMOUS;
  const subject: unknown = certificate.subject;
  const name = subject !== null && typeof subject === 'object' ? subjectName(Object.entries(subject)) : '';
  return { name: name || `SHA256=${certificate.fingerprint256}` };
}

function subjectName(parts: readonly (readonly [string, unknown])[]): string {
  return parts
    .flatMap(([type, value]) =>
      (Array.isArray(value) ? value : [value]).map((one: unknown) => `${type}=${escapeValue(String(one))}`),
    )
    .join(',');
}

/** So that a comma in one part cannot pretend to be another part. */
function escapeValue(value: string): string {
  return value.replace(/[\\,+="<>;]/g, '\\$&');
}

function isLoopbackPeer(peer: string): boolean {
  // A Unix socket's peer has no address.
  if (peer === 'unknown') return true;
  return isLoopbackHost(peer.slice(0, peer.lastIndexOf(':')));
}
