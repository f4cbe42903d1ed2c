import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT_CODE, RuneError } from '../../../shared/errors.js';
import { createFileFaults } from '../../../shared/files/file-faults.js';
import { didYouMean } from '../../../shared/suggest.js';
import type { PluginTestOptions } from '../../commands/plugin.js';
import type { Deps } from '../../connect.js';
import { startServices } from '../../local-services/start-services.js';
import { reportError } from '../../report-error.js';
import { openPlugin, type OpenPlugin } from '../open-plugin.js';
import { stageBundle } from '../stage-bundle.js';
import { checkCase, lackingFor } from './check-case.js';
import { planCases, type TestCase } from './plan-cases.js';
import { readTests } from './read-tests.js';
import { runCase } from './run-case.js';
import { createReport, type Report } from './test-report.js';

const EXAMPLE = 'example: ';

/** Reads plugin and cases. Throws CONFIGURATION_INVALID with all faults, and COMMAND_INVALID for a case that is not there. */
async function readCases(options: PluginTestOptions): Promise<{ plugin: OpenPlugin; cases: TestCase[] }> {
  const faults = createFileFaults();
  const plugin = await openPlugin(options.directory, faults);
  const cases: TestCase[] = [];
  for (const directory of plugin.actions) {
    const tests = await readTests(plugin, directory, faults);
    const manifest = plugin.shown(`${directory}/manifest.yaml`);
    const action = plugin.bundle?.actions.find(({ file }) => file === manifest);
    if (tests !== undefined && action !== undefined)
      cases.push(...planCases(action, tests, options.allowChanges));
  }
  faults.throwIfAny('The plugin');
  const names = cases.map(({ name }) => name);
  for (const name of options.cases) {
    if (names.includes(name) || names.includes(EXAMPLE + name)) continue;
    const near = didYouMean(name, names);
    throw new RuneError(
      'COMMAND_INVALID',
      `--case ${name}: there is no such case${near === '' ? '.' : near}`,
    );
  }
  const isWanted = ({ name }: TestCase): boolean =>
    options.cases.length === 0 ||
    options.cases.some((wanted) => wanted === name || EXAMPLE + wanted === name);
  return { plugin, cases: cases.filter(isWanted) };
}

/** A node of its own for each case that is configured in a way of its own; the others share one. */
function nodeName(one: TestCase, index: number): string {
  return one.configuration === undefined && one.vars === undefined ? 'localhost' : `localhost-${index + 1}`;
}

function inventoryText(cases: readonly TestCase[]): string {
  const node = { transport: 'local', address: 'localhost' };
  const special = cases.map((one, index): [string, object] => [
    nodeName(one, index),
    {
      ...node,
      ...(one.configuration === undefined ? {} : { configuration: { [one.action]: one.configuration } }),
      ...(one.vars === undefined ? {} : { vars: one.vars }),
    },
  ]);
  return JSON.stringify({ nodes: { ...Object.fromEntries(special), localhost: node } });
}

async function runCases(
  cases: readonly TestCase[],
  plugin: OpenPlugin,
  report: Report,
  { io, createClient }: Deps,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'rune-plugin-'));
  const [bundle, inventory, temporary] = ['bundle', 'inventory.yaml', 'tmp'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  try {
    await stageBundle(plugin, bundle);
    await mkdir(temporary);
    await writeFile(inventory, inventoryText(cases));
    const services = await startServices({
      plugins: [bundle],
      inventories: [inventory],
      listen: '127.0.0.1:0',
      env: { ...io.env, TMPDIR: temporary },
      signal: io.interrupts.first,
    });
    const client = createClient({ address: services.address });
    try {
      const runner = { client, temporary, signal: io.interrupts.first };
      for (const [index, one] of cases.entries()) {
        if (one.skip !== undefined) {
          await report.skipped(one, one.skip);
          continue;
        }
        const observed = await runCase(runner, nodeName(one, index), one);
        const lacking = lackingFor(one, observed);
        if (lacking === undefined) await report.ran(one, observed, checkCase(one, observed));
        else await report.skipped(one, lacking);
      }
    } finally {
      client.close();
      await services.stop();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** `rune plugin test`: answers the exit code, 1 if a case did not come out as it must. */
export async function testCommand(options: PluginTestOptions, deps: Deps): Promise<number> {
  try {
    const { plugin, cases } = await readCases(options);
    const report = createReport(options.output, deps.io);
    if (cases.some(({ skip }) => skip === undefined)) await runCases(cases, plugin, report, deps);
    else for (const one of cases) await report.skipped(one, one.skip ?? '');
    return (await report.end()) ? EXIT_CODE.SUCCEEDED : EXIT_CODE.PLUGIN_FAILED;
  } catch (error) {
    return reportError(deps.io, error, options.output, 'See: rune plugin test --help');
  }
}
