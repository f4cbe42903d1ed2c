import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { RuneError } from '../../shared/errors.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';
import { OUTPUT_FORMATS, type OutputFormat } from '../output-format.js';
import type { ClientTls } from '../../shared/rpc/rpc-tls.js';
import { isAddress } from './is-address.js';
import { parseDuration } from './parse-duration.js';

/** What a context sets for flags that are not given. */
export interface Defaults {
  readonly output?: OutputFormat;
  readonly timeoutMs?: number;
  readonly reason?: string;
  readonly transport?: string;
  readonly maxParallel?: number;
}

/** One named service and how to talk to it. */
export interface Context {
  readonly server?: string;
  /** Paths as they are written in the file. */
  readonly tls?: ClientTls;
  readonly defaults: Defaults;
}

/** The configuration file of the command line. */
export interface Config {
  readonly currentContext?: string;
  readonly contexts: ReadonlyMap<string, Context>;
}

const SHOWN_FAULTS_MAX = 20;

type Fault = (node: unknown, field: string, reason: string, description: string) => void;
/** Reads one value or reports a fault and gives undefined. */
type Read<T> = (node: Node | null, field: string, fault: Fault) => T | undefined;

function scalar<T>(expected: string, accept: (value: unknown) => T | undefined): Read<T> {
  return (node, field, fault) => {
    const value = isScalar(node) ? accept(node.value) : undefined;
    if (value === undefined) fault(node, field, 'VALUE', `must be ${expected}`);
    return value;
  };
}

const text = scalar('a text that is not empty', (value) =>
  typeof value === 'string' && value !== '' ? value : undefined,
);
const address = scalar('host:port', (value) =>
  typeof value === 'string' && isAddress(value) ? value : undefined,
);
const output = scalar(`one of ${OUTPUT_FORMATS.join(', ')}`, (value) =>
  OUTPUT_FORMATS.find((format) => format === value),
);
const positive = scalar('a whole number above zero', (value) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined,
);
const duration = scalar('a duration such as 30s or 5m', (value) => {
  try {
    return typeof value === 'string' ? parseDuration(value, '') : undefined;
  } catch {
    return undefined; // The fault that is reported names the line, which the parser does not know.
  }
});

/** A mapping with these fields and no others. */
function fields<T>(readers: {
  readonly [K in keyof T]: { readonly key: string; readonly read: Read<T[K]> };
}): Read<Partial<T>> {
  return (node, field, fault) => {
    if (!isMap(node)) {
      fault(node, field, 'TYPE', 'must be a mapping');
      return undefined;
    }
    const found: Partial<T> = {};
    const names = Object.keys(readers) as (keyof T)[];
    for (const { key, value } of node.items) {
      const written = isScalar(key) ? String(key.value) : '?';
      const path = field === '' ? written : `${field}.${written}`;
      const name = names.find((candidate) => readers[candidate].key === written);
      if (name === undefined) {
        const known = names.map((candidate) => readers[candidate].key).join(', ');
        fault(key, path, 'UNKNOWN', `is not known here; known: ${known}`);
        continue;
      }
      const read = readers[name].read(value as Node | null, path, fault);
      if (read !== undefined) found[name] = read;
    }
    return found;
  };
}

/** A mapping from names to values of one kind. */
function named<T>(read: Read<T>): Read<Map<string, T>> {
  return (node, field, fault) => {
    if (!isMap(node)) {
      fault(node, field, 'TYPE', 'must be a mapping');
      return undefined;
    }
    const found = new Map<string, T>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : '';
      const one = read(value as Node | null, `${field}.${name}`, fault);
      if (one !== undefined) found.set(name, one);
    }
    return found;
  };
}

const tlsFields = fields<Required<ClientTls>>({
  caFile: { key: 'ca_file', read: text },
  certFile: { key: 'cert_file', read: text },
  keyFile: { key: 'key_file', read: text },
  serverName: { key: 'server_name', read: text },
});

const tls: Read<ClientTls> = (node, field, fault) => {
  const found = tlsFields(node, field, fault);
  if (found === undefined) return undefined;
  if ((found.certFile === undefined) !== (found.keyFile === undefined)) {
    fault(node, field, 'REQUIRED', 'needs cert_file and key_file together');
  }
  const { caFile } = found;
  if (caFile === undefined) fault(node, field, 'REQUIRED', 'needs ca_file');
  return caFile === undefined ? undefined : { ...found, caFile };
};

const context = fields<{ server: string; tls: ClientTls; defaults: Defaults }>({
  server: { key: 'server', read: address },
  tls: { key: 'tls', read: tls },
  defaults: {
    key: 'defaults',
    read: fields<Required<Defaults>>({
      output: { key: 'output', read: output },
      timeoutMs: { key: 'timeout', read: duration },
      reason: { key: 'reason', read: text },
      transport: { key: 'transport', read: text },
      maxParallel: { key: 'max_parallel', read: positive },
    }),
  },
});

const config = fields<{
  currentContext: string;
  contexts: Map<string, Omit<Context, 'defaults'> & { defaults?: Defaults }>;
}>({
  currentContext: { key: 'current_context', read: text },
  contexts: { key: 'contexts', read: named(context) },
});

/** Reads the configuration file's text. Throws COMMAND_INVALID with every fault and its line; `path` is only for messages. */
export function parseConfig(source: string, path: string): Config {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const faults: (ValidationError & { line: number })[] = [];
  const report = (offset: number, field: string, reason: string, description: string) => {
    const { line } = lines.linePos(offset);
    faults.push({
      field: `line ${line}`,
      reason,
      description: field === '' ? description : `${field} ${description}`,
      line,
    });
  };
  const fault: Fault = (node, ...rest) => report((node as Node | null)?.range?.[0] ?? 0, ...rest);

  for (const error of document.errors) report(error.pos[0], '', 'YAML', error.message);
  const empty =
    document.contents === null || (isScalar(document.contents) && document.contents.value === null);
  const found = faults.length > 0 || empty ? {} : config(document.contents, '', fault);
  const contexts = new Map<string, Context>();
  for (const [name, value] of found?.contexts ?? [])
    contexts.set(name, { ...value, defaults: value.defaults ?? {} });
  const currentContext = found?.currentContext;
  if (currentContext !== undefined && !contexts.has(currentContext) && isMap(document.contents)) {
    fault(
      document.contents.get('current_context', true),
      'current_context',
      'UNKNOWN',
      `names no context: ${currentContext}`,
    );
  }
  if (faults.length > 0) {
    const shown = faults.toSorted((a, b) => a.line - b.line).slice(0, SHOWN_FAULTS_MAX);
    throw new RuneError(
      'COMMAND_INVALID',
      `${path}: ${faults.length === 1 ? 'one fault' : `${faults.length} faults`}.`,
      { validationErrors: shown.map(({ field, reason, description }) => ({ field, reason, description })) },
    );
  }
  return { contexts, ...(currentContext === undefined ? {} : { currentContext }) };
}
