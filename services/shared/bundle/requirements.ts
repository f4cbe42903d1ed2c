import type { FaultPath } from '../fault.js';
import type { Requirements } from '../gen/rune/v1/mrs.js';

/** `requires` as a manifest gives it: commands alone, or commands and operating systems. */
export type RequirementsYaml =
  | readonly string[]
  | { readonly commands?: readonly string[]; readonly os?: readonly { id: string; version_min?: string }[] };

const COMMAND = /^(\/?[A-Za-z0-9_+.-]+)(\/[A-Za-z0-9_+.-]+)*$/;
/** What a command must be. */
export const COMMAND_RULE =
  'must be the name or the absolute path of a command: letters, digits, "_", "+", "." and "-"';
const OS_ID = /^[a-z0-9._-]+$/;
const OS_ID_RULE =
  'must be an ID as in os-release, such as debian: lower-case letters, digits, ".", "_" and "-"';
const VERSION = /^\d{1,9}(\.\d{1,9})*$/;
const VERSION_RULE = 'must be numbers joined by ".", such as 11 or 22.04';

/** What a node must have; faults are told by their path inside `requires`. */
export function readRequirements(
  yaml: RequirementsYaml,
  add: (path: FaultPath, reason: string, rule: string) => void,
): Requirements {
  const { commands = [], os = [] } = isList(yaml) ? { commands: yaml } : yaml;
  const at: FaultPath = isList(yaml) ? [] : ['commands'];
  for (const [index, command] of commands.entries()) {
    if (!isCommand(command)) add([...at, index], 'COMMAND', COMMAND_RULE);
  }
  for (const [index, { id, version_min: least }] of os.entries()) {
    if (!OS_ID.test(id)) add(['os', index, 'id'], 'NAME', OS_ID_RULE);
    if (least !== undefined && !VERSION.test(least)) {
      add(['os', index, 'version_min'], 'VERSION', VERSION_RULE);
    }
  }
  return {
    commands: [...commands],
    os: os.map(({ id, version_min: versionMin = '' }) => ({ id, versionMin })),
  };
}

/** Whether the text is the name or the absolute path of a command. */
export function isCommand(text: string): boolean {
  return COMMAND.test(text) && (text.startsWith('/') || !text.includes('/'));
}

function isList(yaml: RequirementsYaml): yaml is readonly string[] {
  return Array.isArray(yaml);
}
