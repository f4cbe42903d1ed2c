import { RuneError } from '../errors.js';
import { formatAddress, parseAddress } from '../rpc/rpc-address.js';

/** Tells of a fault in a value: what is wrong, and where inside the value if it has an inside. */
export type Complain = (message: string, path?: readonly (string | number)[]) => void;

/** One setting as data: how it is named, read, bounded and documented. Made by the functions below. */
export interface Setting<T> {
  /**
   * Dotted snake_case: "tls.cert_file" is the key cert_file under tls in the file and PREFIX_TLS_CERT_FILE in the
   * environment.
   */
  readonly name: string;
  /** What may be written, such as "duration, 1s to 24h". */
  readonly kind: string;
  readonly doc: string;
  /** The default as a person would write it; undefined where there is none. */
  readonly defaultText: string | undefined;
  readonly required: boolean;
  /** Its value is never shown. */
  readonly secret: boolean;
  /** The value where it is set nowhere. */
  readonly defaultValue: T;
  /** Reads what a file or a variable holds. After a complaint the answer is not used. */
  readonly parse: (raw: unknown, complain: Complain) => T | undefined;
}

/** The settings of a service, under the names that its code uses. */
export type SettingsSpec = Readonly<Record<string, Setting<unknown>>>;

/** The typed values of a spec. */
export type SettingsOf<S extends SettingsSpec> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer T> ? T : never;
};

/** What every setting can be given. With neither a default nor `required`, it is undefined where it is not set. */
export interface Wanted<D> {
  readonly name: string;
  /** One line for docs/configuration.md. */
  readonly doc: string;
  readonly default?: D;
  readonly required?: true;
  readonly secret?: boolean;
}

type ValueOf<T, W> = W extends { default: unknown } | { required: true } ? T : T | undefined;
type Read<T> = (raw: unknown, complain: Complain) => T | undefined;

function make<T, W extends Wanted<unknown>>(kind: string, wanted: W, read: Read<T>): Setting<ValueOf<T, W>> {
  const written = wanted.default;
  const parse = read as Read<ValueOf<T, W>>;
  const refuse: Complain = (message) => {
    throw new Error(`The default of the setting ${wanted.name} is wrong: ${message}.`);
  };
  return {
    name: wanted.name,
    kind,
    doc: wanted.doc,
    defaultText: written === undefined ? undefined : textOf(written),
    required: wanted.required === true,
    secret: wanted.secret === true,
    // Undefined only where the type says so: the default of every other setting has a value.
    defaultValue: (written === undefined ? undefined : parse(written, refuse)) as ValueOf<T, W>,
    parse,
  };
}

/** A text that is not empty. */
export function textSetting<const W extends Wanted<string>>(wanted: W): Setting<ValueOf<string, W>> {
  return make('text', wanted, (raw, complain) => {
    if (typeof raw === 'string' && raw !== '') return raw;
    complain('must be a text that is not empty (in quotes if it looks like a number)');
    return undefined;
  });
}

/** An address to listen on, as parseAddress takes it. */
export function addressSetting<const W extends Wanted<string>>(wanted: W): Setting<ValueOf<string, W>> {
  return make('host:port', wanted, (raw, complain) => {
    try {
      if (typeof raw === 'string') return formatAddress(parseAddress(raw));
    } catch (thrown) {
      if (!(thrown instanceof RuneError)) throw thrown;
    }
    complain('must be host:port, [IPv6 address]:port or unix:/path');
    return undefined;
  });
}

/** One of a few words. */
export function choiceSetting<const C extends string, const W extends Wanted<C>>(
  choices: readonly C[],
  wanted: W,
): Setting<ValueOf<C, W>> {
  return make(choices.join(', '), wanted, (raw, complain) => {
    const choice = choices.find((one) => one === raw);
    if (choice === undefined) complain(`must be one of ${choices.join(', ')}`);
    return choice;
  });
}

/** A whole number within bounds. */
export function integerSetting<const W extends Wanted<number> & { min: number; max: number }>(
  wanted: W,
): Setting<ValueOf<number, W>> {
  const kind = `integer, ${wanted.min} to ${wanted.max}`;
  return make(kind, wanted, (raw, complain) => {
    const value = typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw;
    if (typeof value === 'number' && Number.isInteger(value) && value >= wanted.min && value <= wanted.max)
      return value;
    complain(`must be a whole number from ${wanted.min} to ${wanted.max}`);
    return undefined;
  });
}

/** A duration, written with its unit ("500ms", "10s", "5m", "2h", "7d"); the value is in milliseconds. */
export function durationSetting<const W extends Wanted<string> & { min: string; max: string }>(
  wanted: W,
): Setting<ValueOf<number, W>> {
  return make(
    `duration, ${wanted.min} to ${wanted.max}`,
    wanted,
    quantity(DURATION_MS, wanted, '500ms, 10s or 5m'),
  );
}

/** A number of bytes, written with its unit ("64KiB", "1MiB", "512B"); the value is in bytes. */
export function bytesSetting<const W extends Wanted<string> & { min: string; max: string }>(
  wanted: W,
): Setting<ValueOf<number, W>> {
  return make(
    `bytes, ${wanted.min} to ${wanted.max}`,
    wanted,
    quantity(BYTES, wanted, '512B, 64KiB or 1MiB'),
  );
}

const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

function quantity(
  units: Readonly<Record<string, number>>,
  bounds: { readonly min: string; readonly max: string },
  example: string,
): Read<number> {
  const amountOf = (text: string): number | undefined => {
    const match = /^(\d{1,12}) ?([A-Za-z]{1,3})$/.exec(text);
    const unit = units[match?.[2] ?? ''];
    return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
  };
  const min = amountOf(bounds.min) ?? 0;
  const max = amountOf(bounds.max) ?? 0;
  return (raw, complain) => {
    const amount = typeof raw === 'string' ? amountOf(raw) : undefined;
    if (amount === undefined) complain(`must be written with its unit, such as ${example}`);
    else if (amount < min || amount > max) complain(`must be from ${bounds.min} to ${bounds.max}`);
    else return amount;
    return undefined;
  };
}

/** true or false. */
export function flagSetting<const W extends Wanted<boolean>>(wanted: W): Setting<ValueOf<boolean, W>> {
  return make('true or false', wanted, (raw, complain) => {
    if (raw === true || raw === 'true') return true;
    if (raw === false || raw === 'false') return false;
    complain('must be true or false');
    return undefined;
  });
}

/** Texts: a sequence in the file, comma-separated in a variable; each must fit `each.pattern`, described by `each.kind`. */
export function listSetting<
  const W extends Wanted<readonly string[]> & {
    readonly each?: { readonly kind: string; readonly pattern: RegExp };
  },
>(wanted: W): Setting<ValueOf<readonly string[], W>> {
  const { kind, pattern } = wanted.each ?? { kind: 'a text that is not empty', pattern: /^./s };
  return make(wanted.each === undefined ? 'list of texts' : `list, each ${kind}`, wanted, (raw, complain) => {
    const items: unknown = typeof raw === 'string' ? splitList(raw) : raw;
    if (!Array.isArray(items)) {
      complain('must be a list');
      return undefined;
    }
    return items.filter((item: unknown, index): item is string => {
      const good = typeof item === 'string' && pattern.test(item);
      if (!good) complain(`must be ${kind}`, [index]);
      return good;
    });
  });
}

/** Texts by name: a mapping in the file, `a=x,b=y` in a variable. */
export function mapSetting<const W extends Wanted<Readonly<Record<string, string>>>>(
  wanted: W,
): Setting<ValueOf<Readonly<Record<string, string>>, W>> {
  return make('map of texts', wanted, (raw, complain) => {
    const pairs = typeof raw === 'string' ? splitPairs(raw) : entriesOf(raw);
    if (pairs === undefined) {
      complain('must be a map of texts');
      return undefined;
    }
    const good = pairs.filter((pair): pair is [string, string] => {
      if (typeof pair[1] === 'string') return true;
      complain('must be a text', [pair[0]]);
      return false;
    });
    return Object.fromEntries(good);
  });
}

/** Anything else, read by a function of its own; in a variable it is written as JSON. */
export function objectSetting<T, const W extends Wanted<unknown> & { kind: string }>(
  wanted: W,
  read: Read<T>,
): Setting<ValueOf<T, W>> {
  return make(wanted.kind, wanted, (raw, complain) => {
    if (typeof raw !== 'string') return read(raw, complain);
    try {
      return read(JSON.parse(raw), complain);
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      complain('must be written as JSON in a variable');
      return undefined;
    }
  });
}

function splitList(text: string): string[] {
  return text.split(',').map((item) => item.trim());
}

function splitPairs(text: string): [string, unknown][] {
  return splitList(text).map((pair) => {
    const at = pair.indexOf('=');
    return at < 1 ? [pair, undefined] : [pair.slice(0, at), pair.slice(at + 1)];
  });
}

function entriesOf(raw: unknown): [string, unknown][] | undefined {
  return raw !== null && typeof raw === 'object' && !Array.isArray(raw) ? Object.entries(raw) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
