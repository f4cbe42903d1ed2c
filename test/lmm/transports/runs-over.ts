import assert from 'node:assert/strict';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { NodeEnding, RunSink, Transport } from '../../../services/lmm/transports/transport.js';
import { nodeOf, openLink, type Link } from '../../support/links.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';

/** Every byte that a shell can hold. */
export const ALL_BYTES = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1));

/** What a link cannot do: why, by the title of the test. */
export type Exceptions = Readonly<Record<string, string>>;

/** `it` for every test but the exceptions, which are pending. An exception that is no test fails. */
export function itBut(exceptions: Exceptions): (title: string, test: () => Promise<void>) => Mocha.Test {
  const left = new Set(Object.keys(exceptions));
  after(() => assert.deepEqual([...left], [], 'exceptions without a test'));
  return (title, test) => {
    const reason = exceptions[title];
    if (reason === undefined) return it(title, test);
    left.delete(title);
    return it(`${title} (not here: ${reason})`);
  };
}

/** A run that ended by itself. */
export interface EndedRun extends PluginRun {
  readonly end: NodeEnding & { kind: 'ended' };
}

/** Runs over one transport. */
export interface RunsOver {
  start(script: string | Buffer, changes?: PluginChanges, sink?: RunSink): PluginRun;
  /** Runs a plugin to its end. */
  run(script: string | Buffer, changes?: PluginChanges): Promise<EndedRun>;
}

/** Opens a link before the tests of the suite around it, and closes it after them. */
export function runsOver(getLink: () => Link): RunsOver {
  let transport: Transport;
  before(() => {
    transport = openLink(getLink(), DEFAULT_NODE_PROTOCOL);
  });
  after(() => transport.close());

  const start: RunsOver['start'] = (script, changes, sink) =>
    runPlugin(transport, commandFor(nodeOf(getLink()), script, changes), sink);
  return {
    start,
    async run(script, changes) {
      const started = start(script, changes);
      const end = await started.ending;
      assert(end.kind === 'ended', JSON.stringify(end));
      return { ...started, end };
    },
  };
}
