import { stringify } from 'yaml';

/** The head of the bundle. */
export const BUNDLE = {
  module_name: 'test',
  module_version: '1.0.0',
  module_class: 'remediation',
  description: 'For tests.',
  library: 'lib/rune_bpcs.sh',
  actions: ['say'],
};
/** The manifest of its one action. */
export const MANIFEST = {
  action: 'say',
  version: '1.0.0',
  description: 'Says something.',
  entrypoint: 'plugin.sh',
  risk: 'low',
  input_schema: {
    type: 'object',
    additionalProperties: false,
    properties: { text: { type: 'string', maxLength: 5 }, times: { type: 'integer', default: 1 } },
  },
  output_schema: { type: 'object', properties: { said: { type: 'string' } } },
};
/** What that action runs. */
export const SCRIPT = '#!/usr/bin/env bash\nrune_ok said\n';

/** Contents of files, by their paths. */
export type Files = Record<string, string | Buffer>;

/** The files of a bundle, some of them other than usual; undefined leaves one out. */
export function bundle(other: Record<string, unknown> = {}): Files {
  const files = {
    'bundle.yaml': BUNDLE,
    'lib/rune_bpcs.sh': 'rune_ok() { :; }\n',
    'say/manifest.yaml': MANIFEST,
    'say/plugin.sh': SCRIPT,
    ...other,
  };
  return Object.fromEntries(
    Object.entries(files)
      .filter(([, content]) => content !== undefined)
      .map(([name, content]) => [
        name,
        typeof content === 'string' || Buffer.isBuffer(content) ? content : stringify(content),
      ]),
  );
}

/** The same files in a directory of this name. */
export function prefixed(prefix: string, files: Files): Files {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${prefix}/${name}`, content]));
}
