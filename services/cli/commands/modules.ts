import { type Command, Option } from 'commander';
import { parseDuration } from '../config/parse-duration.js';
import { addList } from './add-list.js';
import { listOptions } from './list-options.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** Kinds of modules as people name them. */
export const MODULE_KINDS = ['bundle', 'mediator'] as const;

/** What `rune modules` was asked for. `name` may be `name@version`. */
export type ModulesOptions = { readonly service: ServiceOptions } & (
  | {
      readonly kind: 'list';
      readonly type: (typeof MODULE_KINDS)[number] | undefined;
      /** Those too whose registration has ended. */
      readonly ended: boolean;
    }
  | { readonly kind: 'show'; readonly name: string }
  | {
      readonly kind: 'register';
      readonly directory: string;
      /** How long the registration lasts; undefined until it is ended. */
      readonly lifetimeMs: number | undefined;
    }
  | { readonly kind: 'deregister'; readonly name: string; readonly reason: string }
);

const EXAMPLES = `
Examples:
  rune modules
  rune modules list --type mediator
  rune modules show core
  rune modules register ./my-bundle
  rune modules deregister my-bundle@1.0.0 --reason 'replaced by 1.1.0'`;

/** Adds `rune modules` to the program. */
export function defineModules(program: Command, start: (options: ModulesOptions) => Promise<void>): void {
  const command = program
    .command('modules')
    .description('what is registered: plugin bundles and mediators')
    .addHelpText('after', () => listOptions(list) + EXAMPLES);
  const list: Command = addServiceOptions(
    addList(command)
      .description('all modules and how they are')
      .addOption(new Option('--type <type>', 'only modules of this type').choices(MODULE_KINDS))
      .option('--ended', 'also those whose registration has ended'),
  ).addHelpText('after', '\nExample:\n  rune modules list --type mediator');
  list.action((parsed: ParsedServiceOptions & { type?: (typeof MODULE_KINDS)[number]; ended?: true }) =>
    start({
      kind: 'list',
      service: serviceOptions(parsed),
      type: parsed.type,
      ended: parsed.ended === true,
    }),
  );
  addServiceOptions(
    command
      .command('show')
      .description('one module: its versions, what it provides, how it is')
      .argument('<name>', 'name or name@version'),
  )
    .addHelpText('after', '\nExample:\n  rune modules show core')
    .action((name: string, parsed: ParsedServiceOptions) =>
      start({ kind: 'show', service: serviceOptions(parsed), name }),
    );
  addServiceOptions(
    command
      .command('register')
      .description('send the bundle in a directory to LOM, which serves its actions from then on')
      .argument('<directory>', 'where bundle.yaml is')
      .option('--for <duration>', 'how long it is registered; until it is deregistered if not given'),
  )
    .addHelpText('after', '\nExample:\n  rune modules register ./my-bundle')
    .action((directory: string, parsed: ParsedServiceOptions & { for?: string }) =>
      start({
        kind: 'register',
        service: serviceOptions(parsed),
        directory,
        lifetimeMs: parsed.for === undefined ? undefined : parseDuration(parsed.for, '--for'),
      }),
    );
  addServiceOptions(
    command
      .command('deregister')
      .description('end a registration; what was accepted before goes on')
      .argument('<name>', 'name, or name@version where there are several')
      .option('--reason <text>', 'why; recorded and shown', ''),
  )
    .addHelpText('after', "\nExample:\n  rune modules deregister my-bundle@1.0.0 --reason 'replaced'")
    .action((name: string, parsed: ParsedServiceOptions & { reason: string }) =>
      start({ kind: 'deregister', service: serviceOptions(parsed), name, reason: parsed.reason }),
    );
}
