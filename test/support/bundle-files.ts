/**
 * The files of a bundle, by their paths. Each action has a plugin and a manifest with what every manifest needs and the fields given
 * here; `head` are further fields of bundle.yaml.
 */
export function bundleFiles(
  actions: Readonly<Record<string, object>>,
  head: object = {},
  plugin = '#!/bin/bash\n',
): Record<string, string> {
  const files: Record<string, string> = {
    'bundle.yaml': JSON.stringify({
      module_name: 'test',
      module_version: '1.0.0',
      module_class: 'test',
      description: 'For tests.',
      actions: Object.keys(actions),
      ...head,
    }),
  };
  for (const [action, fields] of Object.entries(actions)) {
    files[`${action}/plugin.sh`] = plugin;
    files[`${action}/manifest.yaml`] = JSON.stringify({
      action,
      version: '1.0.0',
      description: 'For tests.',
      entrypoint: 'plugin.sh',
      risk: 'read_only',
      input_schema: { type: 'object' },
      output_schema: { type: 'object' },
      ...fields,
    });
  }
  return files;
}
