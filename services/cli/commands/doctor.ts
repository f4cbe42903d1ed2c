import type { Command } from 'commander';
import { collectNames } from './parse-flags.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** What `rune doctor` was asked to check. */
export interface DoctorOptions {
  readonly service: ServiceOptions;
  /** Nodes to connect to. */
  readonly nodes: readonly string[];
}

const EXAMPLES = `
Examples:
  rune doctor
  rune doctor --node web01,web02      # also connect to these nodes; runs nothing on them`;

/** Adds `rune doctor` to the program. */
export function defineDoctor(program: Command, start: (options: DoctorOptions) => Promise<void>): void {
  const command = program
    .command('doctor')
    .description('check that everything a run needs is there')
    .option('-n, --node <name>', 'also check that this node can be reached', collectNames('--node'));
  addServiceOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((parsed: ParsedServiceOptions & { node?: string[] }) =>
      start({ service: serviceOptions(parsed), nodes: parsed.node ?? [] }),
    );
}
