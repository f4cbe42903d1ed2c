import { resolve } from 'node:path';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import { ModuleType } from '../../shared/gen/rune/v1/mrs.js';
import {
  DeregisterModuleResponse,
  ModuleSource,
  RegisteredModule,
  RegisterModuleResponse,
} from '../../shared/gen/rune/v1/registry.js';
import { allModules } from '../catalogue/pages.js';
import { writeList } from '../catalogue/write-list.js';
import type { ModulesOptions } from '../commands/modules.js';
import type { Deps } from '../connect.js';
import { openPlugin } from '../plugin/open-plugin.js';
import { escapeText } from '../render/escape-text.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import { moduleLabel, renderModule, renderModules, stateWord } from './render-module.js';

type Options<K extends ModulesOptions['kind']> = Extract<ModulesOptions, { kind: K }>;

const TYPES = { bundle: ModuleType.PLUGIN_PROVIDER, mediator: ModuleType.MEDIATOR } as const;
/** As long as LOM lets a registration last without being renewed. */
const LIFETIME_MS_MAX = 10 * 365 * 24 * 3_600_000;

const reference = (text: string): { name: string; version: string | undefined } => {
  const at = text.indexOf('@');
  return at < 0
    ? { name: text, version: undefined }
    : { name: text.slice(0, at), version: text.slice(at + 1) };
};

/** The modules that a person names. Throws COMMAND_INVALID if there is none. */
async function named(text: string, { client, call }: Session): Promise<RegisteredModule[]> {
  const { name, version } = reference(text);
  const found: RegisteredModule[] = [];
  for await (const module of allModules(client, call, { moduleName: name })) {
    const own = module.registration?.moduleIdentity?.moduleVersion;
    if (version === undefined || version === own) found.push(module);
  }
  if (found.length > 0) return found;
  throw new RuneError(
    'COMMAND_INVALID',
    `There is no module ${JSON.stringify(text)}: rune modules list shows all.`,
  );
}

async function list(
  { type, ended }: Options<'list'>,
  { io }: Deps,
  { client, call, output }: Session,
): Promise<number> {
  const filter = { ended, ...(type === undefined ? {} : { moduleType: TYPES[type] }) };
  await writeList(io, output, allModules(client, call, filter), {
    key: 'modules',
    none: 'no modules',
    json: RegisteredModule.toJSON,
    table: renderModules,
  });
  return EXIT_CODE.SUCCEEDED;
}

async function show({ name }: Options<'show'>, { io }: Deps, session: Session): Promise<number> {
  const modules = await named(name, session);
  await writeAnswer(io.stdout, session.output, {
    json: () => ({ modules: modules.map((module) => RegisteredModule.toJSON(module)) }),
    pretty: () => modules.flatMap((module) => renderModule(module, io.stdout.size().columns)),
  });
  return EXIT_CODE.SUCCEEDED;
}

async function register(
  { directory, lifetimeMs }: Options<'register'>,
  { io }: Deps,
  { client, call, output }: Session,
): Promise<number> {
  const faults = createFileFaults();
  const plugin = await openPlugin(directory, faults);
  faults.throwIfAny(`The bundle ${directory}`);
  if (plugin.root !== resolve(directory))
    throw new RuneError(
      'COMMAND_INVALID',
      `${directory} is no bundle: name the directory of its bundle.yaml.`,
    );
  const answer = await client.registerModule(
    {
      registration: {
        moduleIdentity: { moduleType: ModuleType.PLUGIN_PROVIDER },
        registrationMetadata: { expiresAt: new Date(io.nowMs() + (lifetimeMs ?? LIFETIME_MS_MAX)) },
      },
      content: { files: [...plugin.files].map(([path, content]) => ({ path, content })) },
    },
    call,
  );
  const { module, warnings, existing } = answer;
  await writeAnswer(io.stdout, output, {
    json: () => RegisterModuleResponse.toJSON({ ...answer, header: undefined }),
    pretty: () => [
      escapeText(
        `${moduleLabel(module)} ${existing ? 'was registered already' : 'is registered'}, ${stateWord(module)}`,
      ),
      ...warnings.map(({ field, description }) => escapeText(`warning: ${field} ${description}`)),
    ],
  });
  return EXIT_CODE.SUCCEEDED;
}

async function deregister(
  { name, reason }: Options<'deregister'>,
  { io }: Deps,
  session: Session,
): Promise<number> {
  const { client, call, output } = session;
  const found = (await named(name, session)).filter(({ source }) => source === ModuleSource.REGISTERED);
  const [module, ...others] = found;
  if (module === undefined) {
    const why =
      'it comes from a directory or from the configuration of LOM, which is where it can be removed';
    throw new RuneError('COMMAND_INVALID', `${name} did not register: ${why}.`);
  }
  if (others.length > 0) {
    const labels = found.map(moduleLabel).join(', ');
    throw new RuneError('COMMAND_INVALID', `${name} is registered in several versions, name one: ${labels}.`);
  }
  const registrationId = module.registration?.registrationMetadata?.registrationId ?? '';
  const answer = await client.deregisterModule({ registrationId, reason, graceful: true }, call);
  await writeAnswer(io.stdout, output, {
    json: () => DeregisterModuleResponse.toJSON({ ...answer, header: undefined }),
    pretty: () => [
      escapeText(`${moduleLabel(answer.module)} is deregistered; what was accepted before goes on`),
    ],
  });
  return EXIT_CODE.SUCCEEDED;
}

/** `rune modules`: answers the exit code. */
export function modulesCommand(options: ModulesOptions, deps: Deps): Promise<number> {
  return withService(deps, options.service, (session) => {
    if (options.kind === 'list') return list(options, deps, session);
    if (options.kind === 'show') return show(options, deps, session);
    return options.kind === 'register'
      ? register(options, deps, session)
      : deregister(options, deps, session);
  });
}
