import { AwsError } from './aws-error.js';

/** A parameter of a command document. */
export interface DocumentParameter {
  readonly type: 'String' | 'StringList';
  readonly default?: string | readonly string[];
  readonly allowedPattern?: string;
  readonly allowedValues?: readonly string[];
  readonly minChars?: number;
  readonly maxChars?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** A command document with one step that runs a shell script; the only kind that this endpoint executes. */
export interface CommandDocument {
  readonly parameters: Readonly<Record<string, DocumentParameter>>;
  /** The step's name; the plugin's own in documents of the old schema. */
  readonly step: string;
  /** Where below the command's prefix its output goes in S3. */
  readonly outputFolder: string;
  /** Lines with {{ NAME }} for parameters; or nothing but the name of a list, which becomes all its items. */
  readonly runCommand: string | readonly string[];
  readonly workingDirectory: string;
  readonly timeoutSeconds: string;
}

/** What the agent is told to do. */
export interface ScriptStep {
  readonly name: string;
  readonly outputFolder: string;
  readonly lines: readonly string[];
  readonly workingDirectory: string;
  readonly timeoutSeconds: string;
}

/** AWS's own document for shell scripts. */
export const RUN_SHELL_SCRIPT: CommandDocument = {
  parameters: {
    commands: { type: 'StringList', minItems: 1 },
    workingDirectory: { type: 'String', default: '' },
    executionTimeout: {
      type: 'String',
      default: '3600',
      allowedPattern: '([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)',
    },
  },
  step: 'aws:runShellScript',
  outputFolder: 'awsrunShellScript/0.awsrunShellScript',
  runCommand: '{{ commands }}',
  workingDirectory: '{{ workingDirectory }}',
  timeoutSeconds: '{{ executionTimeout }}',
};

/** Reads a command document (schema 2.2) of one aws:runShellScript step. Throws for any other. */
export function readDocument(content: unknown): CommandDocument {
  const document = content as {
    readonly schemaVersion?: string;
    readonly parameters?: Readonly<Record<string, DocumentParameter>>;
    readonly mainSteps?: readonly {
      readonly action: string;
      readonly name: string;
      readonly inputs: {
        readonly runCommand: string | readonly string[];
        readonly workingDirectory?: string;
        readonly timeoutSeconds?: string;
      };
    }[];
  };
  const [step, ...others] = document.mainSteps ?? [];
  if (document.schemaVersion !== '2.2' || step?.action !== 'aws:runShellScript' || others.length > 0)
    throw new Error('The endpoint knows documents of schema 2.2 with one aws:runShellScript step.');
  return {
    parameters: document.parameters ?? {},
    step: step.name,
    outputFolder: `awsrunShellScript/${step.name}`,
    runCommand: step.inputs.runCommand,
    workingDirectory: step.inputs.workingDirectory ?? '',
    timeoutSeconds: step.inputs.timeoutSeconds ?? '3600',
  };
}

/** Checks the values of a command against a document and puts them in. Throws InvalidParameters. */
export function bindParameters(
  document: CommandDocument,
  given: Readonly<Record<string, readonly string[]>>,
): ScriptStep {
  for (const name of Object.keys(given)) {
    if (document.parameters[name] === undefined)
      throw invalid(`Parameter ${name} is not defined in the document.`);
  }
  const values = new Map<string, readonly string[]>();
  for (const [name, parameter] of Object.entries(document.parameters)) {
    const value = given[name] ?? [parameter.default ?? []].flat();
    if (given[name] === undefined && parameter.default === undefined)
      throw invalid(`Parameter ${name} is required but not provided.`);
    checkValue(name, parameter, value);
    values.set(name, value);
  }
  const listIn = (text: string): readonly string[] | undefined => {
    const name = /^\{\{ *([\w-]+) *\}\}$/.exec(text)?.[1] ?? '';
    return document.parameters[name]?.type === 'StringList' ? (values.get(name) ?? []) : undefined;
  };
  const linesOf = (runCommand: string | readonly string[]): readonly string[] => {
    if (typeof runCommand === 'string') return listIn(runCommand) ?? [insert(runCommand)];
    // The agent puts the whole list in the place of the line, and then cannot read the step.
    if (runCommand.some((line) => listIn(line) !== undefined))
      throw invalid('A list stands within the lines of runCommand.');
    return runCommand.map(insert);
  };
  const insert = (text: string): string =>
    text.replace(/\{\{ *([\w-]+) *\}\}/g, (whole, name: string) => {
      const value = values.get(name);
      if (value === undefined) return whole;
      return document.parameters[name]?.type === 'String' ? (value[0] ?? '') : JSON.stringify(value);
    });
  return {
    name: document.step,
    outputFolder: document.outputFolder,
    lines: linesOf(document.runCommand),
    workingDirectory: insert(document.workingDirectory),
    timeoutSeconds: insert(document.timeoutSeconds),
  };
}

function checkValue(name: string, parameter: DocumentParameter, value: readonly string[]): void {
  const { minItems = 0, maxItems = Infinity, minChars = 0, maxChars = Infinity } = parameter;
  if (parameter.type === 'String' && value.length !== 1) throw invalid(`Parameter ${name} takes one value.`);
  if (parameter.type === 'StringList' && (value.length < minItems || value.length > maxItems))
    throw invalid(`Parameter ${name} has ${value.length} items.`);
  for (const each of value) {
    if (each.length < minChars || each.length > maxChars)
      throw invalid(`Parameter ${name} has ${each.length} characters.`);
    if (parameter.allowedValues?.includes(each) === false)
      throw invalid(`Parameter ${name} does not have an allowed value.`);
    if (parameter.allowedPattern !== undefined && !new RegExp(`^(?:${parameter.allowedPattern})$`).test(each))
      throw invalid(`Parameter ${name} does not match its allowed pattern.`);
  }
}

const invalid = (message: string): AwsError => new AwsError('InvalidParameters', message);
