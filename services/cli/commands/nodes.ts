import { Argument, type Command, Option } from 'commander';
import { addList } from './add-list.js';
import { listOptions } from './list-options.js';
import { collectLabel, collectNames } from './parse-flags.js';
import {
  addServiceOptions,
  type ParsedServiceOptions,
  type ServiceOptions,
  serviceOptions,
} from './service-options.js';

/** What `rune nodes` was asked for. */
export type NodesOptions =
  | {
      readonly kind: 'list';
      readonly service: ServiceOptions;
      readonly groups: readonly string[];
      readonly labels: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'show';
      readonly service: ServiceOptions;
      readonly name: string;
      readonly probe: boolean;
    }
  | {
      readonly kind: 'trust';
      readonly service: ServiceOptions;
      readonly name: string;
      /** The file to write pins to. */
      readonly inventory: string | undefined;
      readonly knownHosts: boolean;
      /** Do not ask. */
      readonly yes: boolean;
    }
  | {
      readonly kind: 'import';
      /** An inventory of Ansible. */
      readonly file: string;
    };

const EXAMPLES = `
Examples:
  rune nodes
  rune nodes list --group web
  rune nodes show web01 --probe       # also connect, check the host key and authenticate; runs nothing
  rune nodes import ansible hosts.ini > inventory.yaml
  rune nodes trust web01 --inventory inventory.yaml   # pin the host keys that a mediator sees`;

/** Adds `rune nodes` to the program. */
export function defineNodes(program: Command, start: (options: NodesOptions) => Promise<void>): void {
  const command = program
    .command('nodes')
    .description('where actions can run: the nodes of the inventory')
    .addHelpText('after', () => listOptions(list) + EXAMPLES);
  const list: Command = addServiceOptions(
    addList(command)
      .description('all nodes, or those of groups and labels')
      .option('-g, --group <name>', 'nodes of a group', collectNames('--group'))
      .option('-l, --select <key=value>', 'nodes with this label; several must all match', collectLabel),
  ).addHelpText('after', '\nExample:\n  rune nodes list --select role=web');
  list.action((parsed: ParsedServiceOptions & { group?: string[]; select?: Record<string, string> }) =>
    start({
      kind: 'list',
      service: serviceOptions(parsed),
      groups: parsed.group ?? [],
      labels: parsed.select ?? {},
    }),
  );
  addServiceOptions(
    command
      .command('show')
      .description('one node: how it is reached, its labels, groups and variables')
      .argument('<name>')
      .option('--probe', 'also connect, check the host key and authenticate; runs nothing on the node'),
  )
    .addHelpText('after', '\nExample:\n  rune nodes show web01 --probe')
    .action((name: string, parsed: ParsedServiceOptions & { probe?: true }) =>
      start({ kind: 'show', service: serviceOptions(parsed), name, probe: parsed.probe === true }),
    );
  addServiceOptions(
    command
      .command('trust')
      .description(
        'the host keys of a node, as a mediator sees them, to pin in an inventory or to add to known_hosts',
      )
      .argument('<name>')
      .addOption(
        new Option(
          '--inventory <file>',
          'pin them in this inventory file; the rest of it stays as it is',
        ).conflicts('knownHosts'),
      )
      .option('--known-hosts', 'print them as lines of a known_hosts file')
      .option('-y, --yes', 'do not ask: the fingerprints were compared with the node itself'),
  )
    .addHelpText(
      'after',
      `
Examples:
  rune nodes trust web01                                # show the keys and write nothing
  rune nodes trust web01 --inventory inventory.yaml     # show them, ask, and pin them
  rune nodes trust web01 --known-hosts --yes >> /etc/rune/known_hosts`,
    )
    .action(
      (name: string, parsed: ParsedServiceOptions & { inventory?: string; knownHosts?: true; yes?: true }) =>
        start({
          kind: 'trust',
          service: serviceOptions(parsed),
          name,
          inventory: parsed.inventory,
          knownHosts: parsed.knownHosts === true,
          yes: parsed.yes === true,
        }),
    );
  command
    .command('import')
    .description('an inventory of another system as an inventory of ours, on standard output')
    .addArgument(new Argument('<system>', 'whose inventory it is').choices(['ansible']))
    .argument('<file>', 'YAML or JSON by its name, else INI')
    .addHelpText('after', '\nExample:\n  rune nodes import ansible hosts.ini > inventory.yaml')
    .action((_system: string, file: string) => start({ kind: 'import', file }));
}
