import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import type { PluginRunOptions } from '../commands/plugin.js';
import type { Deps } from '../connect.js';
import { reportError } from '../report-error.js';
import { runCommand } from '../run/run-command.js';
import { openPlugin } from './open-plugin.js';
import { stageBundle } from './stage-bundle.js';

/** `rune plugin run`: runs what `rune run` would, with services of its own that know this one action; answers the exit code. */
export async function runOnce(options: PluginRunOptions, deps: Deps): Promise<number> {
  const { directory, execution, services } = options;
  try {
    const faults = createFileFaults();
    const plugin = await openPlugin(directory, faults);
    faults.throwIfAny('The plugin');
    const [action, ...others] = plugin.bundle?.actions ?? [];
    if (action === undefined || others.length > 0) {
      throw new RuneError('COMMAND_INVALID', `${directory}: name the directory of one action.`);
    }
    const bundle = await mkdtemp(join(tmpdir(), 'rune-plugin-'));
    try {
      await stageBundle(plugin, bundle);
      const { capability } = action;
      const name = `${capability.action}@${capability.version}`;
      return await runCommand(
        { ...execution, action: name, standalone: { ...services, plugins: [bundle] } },
        deps,
      );
    } finally {
      await rm(bundle, { recursive: true, force: true });
    }
  } catch (error) {
    return reportError(deps.io, error, execution.service.output ?? 'pretty', 'See: rune plugin run --help');
  }
}
