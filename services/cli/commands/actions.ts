import type { Command } from 'commander';
import { addList } from './add-list.js';
import { listOptions } from './list-options.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** What `rune actions` was asked for: all actions, or one by `name` or `name@version`. */
export interface ActionsOptions {
  readonly service: ServiceOptions;
  readonly name?: string;
}

const EXAMPLES = `
Examples:
  rune actions
  rune actions show host-facts
  rune actions -o json | jq -r '.actions[].action'`;

/** Adds `rune actions` to the program. */
export function defineActions(program: Command, start: (options: ActionsOptions) => Promise<void>): void {
  const command = program
    .command('actions')
    .description('what can be run: actions, their parameters and results')
    .addHelpText('after', () => listOptions(list) + EXAMPLES);
  const list: Command = addServiceOptions(addList(command).description('all actions'));
  list.action((parsed: ParsedServiceOptions) => start({ service: serviceOptions(parsed) }));
  addServiceOptions(
    command
      .command('show')
      .description('one action: what it takes, what it answers, examples')
      .argument('<name>', 'name or name@version'),
  )
    .addHelpText('after', '\nExample:\n  rune actions show host-facts')
    .action((name: string, parsed: ParsedServiceOptions) => start({ service: serviceOptions(parsed), name }));
}
