import { DOCUMENT_FORM, DOCUMENT_PROGRAMS, shellText, type ScriptKind } from './node-script.js';

const KINDS: readonly ScriptKind[] = ['run', 'group', 'look'];
const DATA_CHARS_MAX = 60_000;

/** The document that takes data: deploy/ssm/RUNE-Run.json. */
export function typedDocument(): object {
  return {
    schemaVersion: '2.2',
    description: 'Runs actions of RUNE. Its script is fixed; what it is given is data, checked here.',
    parameters: {
      form: {
        type: 'String',
        description: 'The programs that the mediator knows.',
        allowedValues: [DOCUMENT_FORM],
      },
      kind: { type: 'String', description: 'Which of them reads the data.', allowedValues: KINDS },
      data: {
        type: 'String',
        description: 'Lines of numbers, ids, names and base64, with commas between them.',
        allowedPattern: `^[A-Za-z0-9+/=._, -]{1,${DATA_CHARS_MAX}}$`,
        maxChars: DATA_CHARS_MAX,
      },
      executionTimeout: {
        type: 'String',
        description: 'Seconds after which the agent kills the script.',
        default: '3600',
        allowedPattern: '^[1-9][0-9]{0,5}$',
      },
    },
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'run',
        precondition: { StringEquals: ['platformType', 'Linux'] },
        inputs: {
          timeoutSeconds: '{{ executionTimeout }}',
          runCommand: shellText(DOCUMENT_PROGRAMS, ['{{ kind }},{{ data }}'])
            .replace('\n', '\n# {{ form }}\n')
            .split('\n'),
        },
      },
    ],
  };
}
