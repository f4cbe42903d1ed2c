import { Readable } from 'node:stream';
import type { Io, Output } from '../../services/cli/io.js';

/** An outside world that remembers what is written to it. */
export interface FakeIo extends Io {
  out(): string;
  err(): string;
  readonly first: AbortController;
  readonly second: AbortController;
}

export function createFakeIo(
  facts: {
    terminal?: boolean;
    columns?: number;
    env?: Record<string, string>;
    stdin?: string;
    nowMs?: () => number;
  } = {},
): FakeIo {
  const written = { out: '', err: '' };
  const output = (name: 'out' | 'err'): Output => ({
    terminal: facts.terminal ?? false,
    size: () => ({ columns: facts.columns ?? 100, rows: 24 }),
    closed: new AbortController().signal,
    write: (text) => {
      written[name] += text;
      return Promise.resolve();
    },
  });
  const [first, second] = [new AbortController(), new AbortController()];
  return {
    stdin: Readable.from(facts.stdin === undefined ? [] : [Buffer.from(facts.stdin)]),
    stdout: output('out'),
    stderr: output('err'),
    env: facts.env ?? {},
    interrupts: { first: first.signal, second: second.signal },
    nowMs: facts.nowMs ?? (() => 0),
    out: () => written.out,
    err: () => written.err,
    first,
    second,
  };
}
