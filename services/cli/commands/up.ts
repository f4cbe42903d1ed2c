import type { Command } from 'commander';
import { RuneError } from '../../shared/errors.js';
import { isAddress } from '../config/is-address.js';
import { DEFAULT_ADDRESS } from '../config/resolve-connection.js';
import { collectNames } from './parse-flags.js';
import type { LocalServicesOptions } from './run.js';

/** What `rune up` was asked to start. */
export interface UpOptions extends LocalServicesOptions {
  /** Where LOM listens, `host:port`; port 0 for a free one. */
  readonly listen: string;
  /** Pass every log line of the services on, not only warnings and errors. */
  readonly verbose: boolean;
}

const EXAMPLES = `
Examples:
  rune up
  rune up --inventory ./inventory.yaml --plugins ./plugins
  rune up --listen 127.0.0.1:6000

Both services listen on loopback only. Without --inventory there is one node, localhost, that is this machine.`;

interface Parsed {
  plugins?: string[];
  inventory?: string[];
  lmmConfig?: string;
  listen: string;
  verbose?: true;
}

function toOptions({ plugins = [], inventory = [], lmmConfig, listen, verbose }: Parsed): UpOptions {
  return {
    plugins,
    inventories: inventory,
    ...(lmmConfig === undefined ? {} : { lmmConfig }),
    listen,
    verbose: verbose === true,
  };
}

function parseListen(text: string): string {
  if (isAddress(text) || /^(?:127\.0\.0\.1|localhost|\[::1\]):0$/.test(text)) return text;
  throw new RuneError('COMMAND_INVALID', `--listen ${text}: write host:port, such as ${DEFAULT_ADDRESS}.`);
}

/** Adds `rune up` to the program. */
export function defineUp(program: Command, start: (options: UpOptions) => Promise<void>): void {
  program
    .command('up')
    .description('start LOM and LMM on this machine and keep them until Ctrl-C')
    .option(
      '--plugins <directory>',
      "plugin bundles to load (default: the package's own)",
      collectNames('--plugins'),
    )
    .option(
      '--inventory <file>',
      'inventory to load (default: this machine as localhost)',
      collectNames('--inventory'),
    )
    .option('--lmm-config <file>', 'configuration of the mediator (default: your own SSH keys)')
    .option('--listen <host:port>', 'where LOM listens', parseListen, DEFAULT_ADDRESS)
    .option('-v, --verbose', 'show every log line of the services')
    .addHelpText('after', EXAMPLES)
    .action((parsed: Parsed) => start(toOptions(parsed)));
}
