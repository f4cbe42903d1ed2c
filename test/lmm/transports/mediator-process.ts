// A mediator of its own, to be frozen or killed: runs the plugins of a JSON document on stdin, and prints a line for
// each thing that happens: {"runId", "ready"} when a plugin has printed "ready", {"runId", "ending"} or {"runId", "error"}.
import { json } from 'node:stream/consumers';
import type { NodeProtocolSettings } from '../../../services/lmm/transports/supervise.js';
import { nodeOf, openLink, type Link } from '../../support/links.js';
import { commandFor, runPlugin, type PluginChanges } from '../../support/run-plugin.js';

export interface MediatorTask {
  readonly link: Link;
  readonly settings: NodeProtocolSettings;
  readonly runs: readonly {
    readonly runId: string;
    readonly script: string;
    readonly changes: PluginChanges;
  }[];
}

const task = (await json(process.stdin)) as MediatorTask;
const transport = openLink(task.link, task.settings);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

await Promise.all(
  task.runs.map(async ({ runId, script, changes }) => {
    let printed = '';
    const run = runPlugin(transport, commandFor(nodeOf(task.link), script, { ...changes, runId }), {
      started: () => undefined,
      stdout: (chunk) => {
        const before = printed.includes('ready');
        printed = (printed + chunk.toString('latin1')).slice(0, 1000);
        if (!before && printed.includes('ready')) say({ runId, ready: true });
      },
      stderr: () => undefined,
    });
    try {
      say({ runId, ending: await run.ending });
    } catch (error) {
      say({ runId, error: String(error) });
    }
  }),
);
await transport.close();
