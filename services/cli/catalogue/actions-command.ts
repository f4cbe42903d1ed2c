import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { ActionCapability, Delivery } from '../../shared/gen/rune/v1/mrs.js';
import type { ActionsOptions } from '../commands/actions.js';
import { escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';
import { renderValue } from '../render/render-value.js';
import { riskWords } from '../render/risk-words.js';
import { renderTable } from '../render/table.js';
import type { Deps } from '../connect.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import { allActions } from './pages.js';
import { protocolWords, requirementWords } from './requirement-words.js';
import { schemaFields } from './schema-fields.js';
import { writeList } from './write-list.js';

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

/** The command that shows an example, for a person to copy. */
function exampleCommand(action: string, params: Readonly<Record<string, unknown>> | undefined): string {
  const quoted = (text: string) =>
    /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  const flags = Object.entries(params ?? {}).map(([key, value]) =>
    typeof value === 'string' && !value.startsWith('@') && !key.endsWith(':')
      ? ` --param ${quoted(`${key}=${value}`)}`
      : ` --param ${quoted(`${key}:=${JSON.stringify(value)}`)}`,
  );
  return `rune run ${action} --node NODE${flags.join('')}`;
}

/** One action as lines for people: what it does, takes and answers. */
export function renderAction(action: ActionCapability, width: number): string[] {
  const requires = requirementWords(action.requires);
  const facts = {
    risk: riskWords(action.risk),
    timeout: formatDuration(action.timeoutMs),
    ...(action.cooldownMs === 0 ? {} : { cooldown: `${formatDuration(action.cooldownMs)} on each node` }),
    ...(action.maxConcurrent === 0 ? {} : { 'at one time': `${action.maxConcurrent} at most` }),
    'can be repeated': action.idempotent ? 'yes' : 'no',
    'dry run': action.supportsDryRun ? 'yes' : 'no',
    ...(action.runAs === '' ? {} : { 'runs as': action.runAs }),
    ...(action.systemdScope ? { 'runs in': 'a scope of systemd, where the node gives one' } : {}),
    delivery: action.delivery === Delivery.DIRECTORY ? 'temporary directory' : 'stream',
    protocol: protocolWords(action.protocol),
    ...(requires.length === 0 ? {} : { 'needs on the node': requires }),
    bundle: action.moduleName,
    digest: action.digest,
  };
  const examples = action.examples.flatMap(({ description, params }) => [
    ...(description === '' ? [] : [`# ${escapeText(description)}`]),
    escapeText(exampleCommand(action.action, params)),
  ]);
  return [
    escapeText(`${action.action} ${action.version}: ${action.description}`),
    ...indent(renderValue(facts, width)),
    'parameters:',
    ...indent(schemaFields(action.inputSchema)),
    'result:',
    ...indent(schemaFields(action.outputSchema)),
    ...(examples.length === 0 ? [] : ['examples:', ...indent(examples)]),
  ];
}

async function show(name: string, deps: Deps, { client, call, output }: Session): Promise<number> {
  const { action } = await client.getAction({ action: name }, call);
  if (action === undefined) throw new RuneError('INTERNAL', 'The service answered without an action.');
  const { stdout } = deps.io;
  await writeAnswer(stdout, output, {
    json: () => ActionCapability.toJSON(action),
    pretty: () => renderAction(action, stdout.size().columns),
  });
  return EXIT_CODE.SUCCEEDED;
}

async function list(deps: Deps, { client, call, output }: Session): Promise<number> {
  await writeList(deps.io, output, allActions(client, call), {
    key: 'actions',
    none: 'no actions: LOM has loaded no plugin bundle',
    json: ActionCapability.toJSON,
    table: (items) =>
      renderTable(
        ['ACTION', 'VERSION', 'RISK', 'DESCRIPTION'].map((header) => ({ header })),
        items.map(({ action, version, risk, description }) =>
          [action, version, riskWords(risk), description].map(escapeText),
        ),
      ),
  });
  return EXIT_CODE.SUCCEEDED;
}

/** `rune actions` and `rune actions show NAME`: answers the exit code. */
export function actionsCommand({ service, name }: ActionsOptions, deps: Deps): Promise<number> {
  return withService(deps, service, (session) =>
    name === undefined ? list(deps, session) : show(name, deps, session),
  );
}
