import type { ConnectPhase } from '../ssh/connect-errors.js';
import type { HostKeyId } from '../ssh/host-key-blob.js';

/**
 * What the system's ssh has said so far, at LogLevel DEBUG1. Nothing is trusted because of it: a node can print lines too, once
 * the login has begun. It only explains why something failed.
 */
export interface SshLog {
  /** Takes the next bytes of its standard error. */
  push(bytes: Buffer): void;
  readonly phase: ConnectPhase;
  /** The key that the host presented. */
  readonly hostKey: HostKeyId | undefined;
  /** Whether it came with a certificate, and what is wrong with that. */
  readonly certificate: 'none' | 'presented' | { readonly fault: string };
  readonly isHostKeyRefused: boolean;
  readonly isHostKeyRevoked: boolean;
  /** Type and fingerprint of the keys that were offered to the node. */
  readonly offered: readonly string[];
  /** Authentication methods that the node accepts. */
  readonly accepted: readonly string[];
  /** Key files and agents that could not be used, as clauses. */
  readonly keyFaults: readonly string[];
  /** The last lines that are no debugging, each of them cut. */
  readonly words: readonly string[];
  /** Forgets the words, so that those which come are about what happens from now on. */
  forgetWords(): void;
}

const LINE_LENGTH_MAX = 2_000;
const WORDS_LENGTH_MAX = 200;
const WORDS_MAX = 5;
const LIST_MAX = 10;

/** Starts with nothing said. */
export function createSshLog(): SshLog {
  let rest = '';
  let phase: ConnectPhase = 'dialling';
  let hostKey: HostKeyId | undefined;
  let certificate: SshLog['certificate'] = 'none';
  let isHostKeyRefused = false;
  let isHostKeyRevoked = false;
  let accepted: readonly string[] = [];
  const offered = new Set<string>();
  const keyFaults = new Set<string>();
  const words: string[] = [];

  const add = (list: Set<string>, item: string): void => {
    if (list.size < LIST_MAX) list.add(item.slice(0, WORDS_LENGTH_MAX));
  };

  const readDebug = (text: string): void => {
    if (text === 'Connection established.') phase = 'greeting';
    else if (text.startsWith('Remote protocol version ')) phase = 'handshake';
    else if (text === 'SSH2_MSG_NEWKEYS received' && phase === 'handshake') phase = 'authenticating';
    else if (text.startsWith('Authentication succeeded')) phase = 'opening';
    const [, what, type, fingerprint] =
      /^Server host (key|certificate): (\S{1,64}) (SHA256:[0-9A-Za-z+/]{43})/.exec(text) ?? [];
    if (phase === 'handshake' && type !== undefined && fingerprint !== undefined) {
      hostKey = { type: type.replace(/-cert-v01@openssh\.com$/, ''), fingerprint };
      certificate = what === 'certificate' ? 'presented' : 'none';
    }
    const [, key] = /^Offering public key: .*?([A-Z0-9-]+ SHA256:[0-9A-Za-z+/]{43})/.exec(text) ?? [];
    if (key !== undefined) add(offered, key);
    const [, methods] = /^Authentications that can continue: (.*)/.exec(text) ?? [];
    if (methods !== undefined)
      accepted = methods
        .split(',')
        .filter((method) => /^[a-z0-9@.-]{1,64}$/.test(method))
        .slice(0, LIST_MAX);
    const [, agentFault] = /^get_agent_identities: \w+: (.*)/.exec(text) ?? [];
    if (agentFault !== undefined) add(keyFaults, `the ssh-agent cannot be used: ${agentFault}`);
  };

  const readWords = (line: string): void => {
    if (line.startsWith('Authenticated to ')) phase = 'opening';
    if (line === 'Host key verification failed.') isHostKeyRefused = true;
    if (/^@ +WARNING: REVOKED HOST KEY DETECTED! +@$/.test(line) && phase === 'handshake')
      isHostKeyRevoked = true;
    const [, certificateFault] = /^Certificate invalid: (.*)/.exec(line) ?? [];
    if (certificateFault !== undefined && phase === 'handshake') certificate = { fault: certificateFault };
    const [, path, loadFault] = /^Load key "(.*)": (.*)/.exec(line) ?? [];
    if (path !== undefined) add(keyFaults, `ssh cannot use ${path}: ${loadFault ?? ''}`);
    const [, signFault] = /^sign_and_send_pubkey: (signing failed .*)/.exec(line) ?? [];
    if (signFault !== undefined) add(keyFaults, signFault);
    if (line === '' || line.startsWith('@') || line.startsWith('Authenticated to ')) return;
    words.push(line.slice(0, WORDS_LENGTH_MAX));
    if (words.length > WORDS_MAX) words.shift();
  };

  const readLine = (line: string): void => {
    const [, debug] = /^debug\d: (.*)/.exec(line) ?? [];
    if (debug === undefined) readWords(line);
    else readDebug(debug);
  };

  return {
    push(bytes) {
      const lines = (rest + bytes.toString('latin1')).split(/\r*\n/);
      rest = (lines.pop() ?? '').slice(0, LINE_LENGTH_MAX);
      for (const line of lines) readLine(line.slice(0, LINE_LENGTH_MAX));
    },
    get phase() {
      return phase;
    },
    get hostKey() {
      return hostKey;
    },
    get certificate() {
      return certificate;
    },
    get isHostKeyRefused() {
      return isHostKeyRefused;
    },
    get isHostKeyRevoked() {
      return isHostKeyRevoked;
    },
    get offered() {
      return [...offered];
    },
    get accepted() {
      return accepted;
    },
    get keyFaults() {
      return [...keyFaults];
    },
    get words() {
      return words;
    },
    forgetWords() {
      words.length = 0;
    },
  };
}
