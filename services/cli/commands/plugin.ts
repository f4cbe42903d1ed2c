import { type Command, Option } from 'commander';
import { LANGUAGES, type Language, RISKS, type RiskName } from '../plugin/template-choices.js';

/** What `rune plugin new` was asked to make. */
export interface PluginNewOptions {
  readonly name: string;
  readonly language: Language;
  readonly risk: RiskName;
  /** The bundle's directory. */
  readonly directory: string;
}

/** What each command below `rune plugin` does. */
export interface PluginCommands {
  create(options: PluginNewOptions): Promise<void>;
}

const NEW_EXAMPLES = `
Examples:
  rune plugin new rotate-logs --risk low
  rune plugin new count-users --language python --directory ./plugins

Nothing that exists is overwritten; bundle.yaml gets the name of the action, or is made.`;

function defineNew(plugin: Command, start: PluginCommands['create']): void {
  plugin
    .command('new')
    .description('make an action that works: manifest, script, tests and a page')
    .argument('<name>', 'name of the action, such as rotate-logs')
    .addOption(
      new Option('--language <language>', 'language of the script').choices(LANGUAGES).default('bash'),
    )
    .addOption(
      new Option('--risk <risk>', 'what the action may do to a node').choices(RISKS).default('read_only'),
    )
    .option('--directory <directory>', 'directory of the bundle', '.')
    .addHelpText('after', NEW_EXAMPLES)
    .action((name: string, parsed: Omit<PluginNewOptions, 'name'>) => start({ name, ...parsed }));
}

/** Adds `rune plugin` to the program. */
export function definePlugin(program: Command, start: PluginCommands): void {
  const plugin = program
    .command('plugin')
    .description('write plugins: make, check and try them')
    .helpCommand(false);
  defineNew(plugin, start.create);
}
