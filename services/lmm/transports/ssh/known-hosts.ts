import { createHmac } from 'node:crypto';
import { parseHostKey, type HostKey, type HostKeyId } from './host-key-blob.js';
import { matchesHostPatterns } from '../../host-pattern.js';

/** One known_hosts file. */
export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

/** A place in a file, for messages. Lines count from 1. */
export interface Place {
  readonly path: string;
  readonly line: number;
}

/** A line that was skipped, and why. */
export interface KnownHostsFault extends Place {
  readonly reason: string;
}

/** What the files say about a key that a host presents. */
export type KeyVerdict =
  | ({ readonly kind: 'match' } & Place)
  | ({ readonly kind: 'revoked' } & Place)
  /** Other keys are known for the host; `known` is one of them, of the presented type where there is one. */
  | ({ readonly kind: 'changed'; readonly known: HostKey } & Place)
  /** `certificateAuthority` is a line that would vouch for host certificates, which only the transport openssh checks. */
  | { readonly kind: 'unknown'; readonly certificateAuthority: Place | undefined };

/** What a line says of the key of a host: it is the host's, it is revoked, or it signs the certificates of hosts. */
export type Marker = '' | '@revoked' | '@cert-authority';

/** Parsed known_hosts files. */
export interface KnownHosts {
  readonly paths: readonly string[];
  readonly faults: readonly KnownHostsFault[];
  verdict(host: string, port: number, key: HostKeyId): KeyVerdict;
  /** Keys known for the host, in the order of the files: what to offer first in the handshake. */
  keysOf(host: string, port: number): readonly HostKey[];
  /** Everything that the files say of the host, in their order. */
  entriesOf(host: string, port: number): readonly { readonly marker: Marker; readonly key: HostKey }[];
}

interface Entry extends Place {
  readonly marker: Marker;
  readonly key: HostKey;
  readonly matches: (name: string) => boolean;
}

const DEFAULT_PORT = 22;

/** Parses known_hosts files as sshd(8) describes them. A malformed line is skipped and listed in `faults`. */
export function parseKnownHosts(files: readonly KnownHostsFile[]): KnownHosts {
  const faults: KnownHostsFault[] = [];
  const byName = new Map<string, Entry[]>();
  const others: Entry[] = [];
  for (const file of files) {
    for (const [index, text] of file.text.split('\n').entries()) {
      const line = text.trim();
      if (line === '' || line.startsWith('#')) continue;
      const place: Place = { path: file.path, line: index + 1 };
      const parsed = parseLine(line, place);
      if ('reason' in parsed) faults.push(parsed);
      else if (parsed.names === undefined) others.push(parsed.entry);
      else for (const name of parsed.names) entriesNamed(byName, name).push(parsed.entry);
    }
  }

  const entriesNamedAs = (name: string): Entry[] => [
    ...(byName.get(name) ?? []),
    ...others.filter((entry) => entry.matches(name)),
  ];
  const entriesFor = (host: string, port: number): Entry[] => {
    const entries = entriesNamedAs(lookupName(host, port));
    if (port === DEFAULT_PORT) return entries;
    // ssh looks for an authority under the name without a port too; what revokes it must not be missed then.
    const marked = entriesNamedAs(lookupName(host, DEFAULT_PORT)).filter(({ marker }) => marker !== '');
    return [...new Set([...entries, ...marked])];
  };
  return {
    paths: files.map((file) => file.path),
    faults,
    verdict: (host, port, key) => judge(entriesFor(host, port), key),
    keysOf: (host, port) =>
      entriesFor(host, port)
        .filter((entry) => entry.marker === '')
        .map((entry) => entry.key),
    entriesOf: entriesFor,
  };
}

function entriesNamed(byName: Map<string, Entry[]>, name: string): Entry[] {
  const entries = byName.get(name) ?? [];
  byName.set(name, entries);
  return entries;
}

/** The name under which a host is looked up: "host", or "[host]:port" for any port but 22. */
export function lookupName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === DEFAULT_PORT ? name : `[${name}]:${port}`;
}

function judge(entries: readonly Entry[], key: HostKeyId): KeyVerdict {
  const same = (entry: Entry): boolean => entry.key.fingerprint === key.fingerprint;
  const revoked = entries.find((entry) => entry.marker === '@revoked' && same(entry));
  if (revoked) return { kind: 'revoked', ...placeOf(revoked) };
  const trusted = entries.filter((entry) => entry.marker === '');
  const match = trusted.find(same);
  if (match) return { kind: 'match', ...placeOf(match) };
  const other = trusted.find((entry) => entry.key.type === key.type) ?? trusted[0];
  if (other) return { kind: 'changed', known: other.key, ...placeOf(other) };
  const authority = entries.find((entry) => entry.marker === '@cert-authority');
  return { kind: 'unknown', certificateAuthority: authority && placeOf(authority) };
}

const placeOf = (entry: Entry): Place => ({ path: entry.path, line: entry.line });

/** `names` is undefined for a line that must be matched one by one: patterns and hashed names. */
function parseLine(
  line: string,
  place: Place,
): { entry: Entry; names: string[] | undefined } | KnownHostsFault {
  const fault = (reason: string): KnownHostsFault => ({ ...place, reason });
  const fields = line.split(/[ \t]+/);
  let marker: Marker = '';
  if (line.startsWith('@')) {
    const word = fields.shift();
    if (word !== '@revoked' && word !== '@cert-authority')
      return fault('the marker is neither @revoked nor @cert-authority');
    marker = word;
  }
  const [hosts, type, base64] = fields;
  if (!hosts || !type || !base64) return fault('a host, a key type and a key are needed');
  const key = parseHostKey(Buffer.from(base64, 'base64'));
  if (key === undefined) return fault('the key is not valid');
  if (key.type !== type) return fault(`the line says ${printable(type)} and holds a key of type ${key.type}`);

  if (hosts.startsWith('|')) {
    const matches = hashedName(hosts);
    if (matches === undefined) return fault('the hashed host name is not valid');
    return { entry: { ...place, marker, key, matches }, names: undefined };
  }
  const patterns = hosts.split(',');
  const entry: Entry = { ...place, marker, key, matches: (name) => matchesHostPatterns(patterns, name) };
  const plain = patterns.every((pattern) => !/[*?!]/.test(pattern));
  return { entry, names: plain ? patterns.map((pattern) => pattern.toLowerCase()) : undefined };
}

const SHA1_BYTES = 20;

/** Matcher for `|1|salt|hmac-sha1`, or undefined if it is malformed. */
function hashedName(text: string): ((name: string) => boolean) | undefined {
  const [, version, salt, digest, ...rest] = text.split('|');
  if (version !== '1' || !salt || !digest || rest.length > 0) return undefined;
  const [saltBytes, expected] = [Buffer.from(salt, 'base64'), Buffer.from(digest, 'base64')];
  if (saltBytes.length !== SHA1_BYTES || expected.length !== SHA1_BYTES) return undefined;
  return (name) => createHmac('sha1', saltBytes).update(name).digest().equals(expected);
}

const printable = (text: string): string => text.slice(0, 40).replace(/[^\x20-\x7e]/g, '?');
