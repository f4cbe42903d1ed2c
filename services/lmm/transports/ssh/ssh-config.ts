import { RuneError } from '../../../shared/errors.js';
import type { ValidationError } from '../../../shared/gen/rune/v1/eps.js';
import { matchesHostPatterns } from '../../host-pattern.js';

/** One host of a ProxyJump. */
export interface JumpSpec {
  readonly host: string;
  /** 0 where it is not said. */
  readonly port: number;
  /** Empty where it is not said. */
  readonly user: string;
}

/** What ssh_config files say of a host. */
export interface SshHostConfig {
  readonly hostName: string | undefined;
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly hostKeyAlias: string | undefined;
  /** Paths, in the order in which they are tried. */
  readonly identityFiles: readonly string[];
  /** From the mediator on. */
  readonly proxyJump: readonly JumpSpec[];
}

/** Parsed ssh_config files. */
export interface SshConfig {
  /** What holds for a host, by the name that the inventory gives as its address. */
  of(host: string): SshHostConfig;
  /** Every UserKnownHostsFile, whichever host it is for. */
  readonly knownHostsFiles: readonly string[];
  /** Keywords that change nothing here, each once. */
  readonly ignored: readonly string[];
}

/** One ssh_config file. */
export interface SshConfigFile {
  readonly path: string;
  readonly text: string;
}

interface Line {
  /** Patterns of the Host line above; undefined for lines that hold for every host. */
  readonly patterns: readonly string[] | undefined;
  readonly keyword: string;
  readonly args: readonly string[];
}

const HOST = /^[A-Za-z0-9:][A-Za-z0-9._:-]{0,252}$/;
const HOST_NAME = /^(?:%h|[A-Za-z0-9:])(?:%h|[A-Za-z0-9._:-]){0,252}$/;
const USER = /^[A-Za-z_][A-Za-z0-9._-]{0,31}$/;
const JUMP = /^(?:ssh:\/\/)?(?:([^@]+)@)?(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;
const PORT_MAX = 65_535;
/** Hosts whose answer is remembered: files may be long, and every run asks. */
const HOSTS_REMEMBERED_MAX = 10_000;

/** What is wrong with the arguments of a keyword, or undefined. Keywords that are not here are ignored. */
const HONOURED: Readonly<Record<string, (args: readonly string[]) => string | undefined>> = {
  hostname: ([name]) =>
    name !== undefined && HOST_NAME.test(name) ? undefined : 'must be a host name or %h',
  port: ([port]) => (isPort(port) ? undefined : `must be a port, 1 to ${PORT_MAX}`),
  user: ([user]) => (user !== undefined && USER.test(user) ? undefined : 'must be a login name'),
  hostkeyalias: ([alias]) => (alias !== undefined && HOST.test(alias) ? undefined : 'must be a host name'),
  identityfile: (args) => whyNoPaths(args),
  userknownhostsfile: (args) => whyNoPaths(args),
  proxyjump: ([list = '']) =>
    list.toLowerCase() === 'none' || parseJumps(list) !== undefined
      ? undefined
      : 'must be "none" or [user@]host[:port], several with commas',
};
/** To ignore these would connect to another host than was meant, or to one in another way. */
const REFUSED = new Set(['match', 'include', 'proxycommand']);

/**
 * Parses ssh_config files as ssh_config(5) describes them: the first value that fits a host holds, and every IdentityFile that
 * does. Throws CONFIGURATION_INVALID that lists all faults with file and line. `home` stands for "~" and "%d".
 */
export function parseSshConfig(files: readonly SshConfigFile[], home: string): SshConfig {
  const faults: ValidationError[] = [];
  const lines = files.flatMap((file) => readFile(file, faults));
  if (faults.length > 0) {
    const list = faults.map(({ field, description }) => `${field}: ${description}`).join('; ');
    throw new RuneError('CONFIGURATION_INVALID', `The ssh_config cannot be used: ${list}.`, {
      validationErrors: faults,
    });
  }
  const paths = (args: readonly string[]): string[] =>
    args
      .filter((path) => path.toLowerCase() !== 'none')
      .map((path) => path.replace(/^~(?=\/)|%d/g, () => home));
  const honoured = lines.filter(({ keyword }) => Object.hasOwn(HONOURED, keyword));
  const look = (host: string): SshHostConfig => {
    const fitting = honoured.filter(
      ({ patterns }) => patterns === undefined || matchesHostPatterns(patterns, host),
    );
    const first = (wanted: string): string | undefined =>
      fitting.find(({ keyword }) => keyword === wanted)?.args[0];
    const port = first('port');
    const identities = fitting.filter(({ keyword }) => keyword === 'identityfile');
    return {
      hostName: first('hostname')?.replaceAll('%h', host),
      port: port === undefined ? undefined : Number(port),
      user: first('user'),
      hostKeyAlias: first('hostkeyalias'),
      identityFiles: [...new Set(identities.flatMap(({ args }) => paths(args)))],
      proxyJump: parseJumps(first('proxyjump') ?? 'none') ?? [],
    };
  };
  const found = new Map<string, SshHostConfig>();
  return {
    of(host) {
      const known = found.get(host) ?? look(host);
      if (found.size >= HOSTS_REMEMBERED_MAX) found.clear();
      found.set(host, known);
      return known;
    },
    knownHostsFiles: [
      ...new Set(
        honoured.filter(({ keyword }) => keyword === 'userknownhostsfile').flatMap(({ args }) => paths(args)),
      ),
    ],
    ignored: [
      ...new Set(lines.map(({ keyword }) => keyword).filter((keyword) => !Object.hasOwn(HONOURED, keyword))),
    ],
  };
}

function readFile({ path, text }: SshConfigFile, faults: ValidationError[]): Line[] {
  let patterns: readonly string[] | undefined;
  return text.split('\n').flatMap((raw, index): Line[] => {
    const words = wordsOf(raw);
    const fault = (description: string): Line[] => {
      faults.push({ field: `${path}:${index + 1}`, description, reason: 'SSH_CONFIG' });
      return [];
    };
    if (words === undefined) return fault('a quotation mark is not closed');
    const [first, ...args] = words;
    if (first === undefined) return [];
    const keyword = first.toLowerCase();
    if (keyword === 'host') {
      patterns = args;
      return args.length > 0 ? [] : fault('Host needs a pattern');
    }
    if (REFUSED.has(keyword) && args[0]?.toLowerCase() !== 'none') return fault(`${first} is not supported`);
    if (args.length === 0) return fault(`${first} has no value`);
    const why = Object.hasOwn(HONOURED, keyword) ? HONOURED[keyword]?.(args) : undefined;
    if (why !== undefined) return fault(`${first} ${why}`);
    return [{ patterns, keyword, args }];
  });
}

/** The words of a line, without comments; undefined if a quotation mark is not closed. `Keyword=value` is two words. */
function wordsOf(line: string): string[] | undefined {
  const text = line.trim().replace(/^([A-Za-z]+)\s*=\s*/, '$1 ');
  if (text === '' || text.startsWith('#')) return [];
  const words: string[] = [];
  for (const [word, quoted, plain] of text.matchAll(/"([^"]*)"|(\S+)/g)) {
    if (plain?.startsWith('#') === true) break;
    if (plain?.includes('"') === true) return undefined;
    words.push(quoted ?? plain ?? word);
  }
  return words;
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= PORT_MAX;
}

function whyNoPaths(paths: readonly string[]): string | undefined {
  const bad = paths.find(
    (path) => path.toLowerCase() !== 'none' && !/^(?:\/|~\/|%d)/.test(path.replaceAll('%%', '')),
  );
  if (bad !== undefined) return 'must be an absolute path or begin with ~/ or %d';
  return paths.some((path) => /%[^d]|%$/.test(path)) ? 'may hold no other token than %d' : undefined;
}

function parseJumps(list: string): JumpSpec[] | undefined {
  if (list.toLowerCase() === 'none') return [];
  const specs = list.split(',').map((item): JumpSpec | undefined => {
    const [, user = '', bracketed, plain, port] = JUMP.exec(item.trim()) ?? [];
    const host = bracketed ?? plain ?? '';
    if (!HOST.test(host) || (user !== '' && !USER.test(user))) return undefined;
    if (port !== undefined && !isPort(port)) return undefined;
    return { host, user, port: Number(port ?? 0) };
  });
  return specs.includes(undefined) ? undefined : specs.filter((spec) => spec !== undefined);
}
