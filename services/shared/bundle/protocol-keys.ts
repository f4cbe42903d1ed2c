import type { FaultPath } from '../fault.js';

/** The keys of a manifest whose meaning depends on its protocol, after the file's shape was checked. */
export interface ProtocolKeys {
  readonly protocol: 'bpcs' | 'raw' | 'nagios' | 'bolt';
  readonly entrypoint?: unknown;
  readonly command?: unknown;
  readonly arguments: readonly unknown[];
  readonly bolt_metadata?: unknown;
  readonly configuration_schema?: unknown;
  readonly supports_dry_run?: boolean;
  readonly delivery: 'stream' | 'directory';
  readonly files: readonly unknown[];
}

/** Tells the keys that do not go with the manifest's protocol, or not with one another. */
export function checkProtocolKeys(
  keys: ProtocolKeys,
  add: (path: FaultPath, reason: string, rule: string) => void,
): void {
  const { protocol } = keys;
  const isProgram = protocol === 'raw' || protocol === 'nagios';
  const refuse = (isGiven: boolean, key: keyof ProtocolKeys, rule: string): void => {
    if (isGiven) add([key], 'NOT_SUPPORTED', rule);
  };
  if (isProgram) {
    const rule = `must be false: a plugin of the protocol ${protocol} cannot be told that a run is dry`;
    refuse(keys.supports_dry_run === true, 'supports_dry_run', rule);
  } else {
    const rule = `is for the protocols raw and nagios, and this is ${protocol}`;
    refuse(keys.command !== undefined, 'command', rule);
    refuse(keys.arguments.length > 0, 'arguments', rule);
  }
  if (protocol !== 'bolt') {
    refuse(
      keys.bolt_metadata !== undefined,
      'bolt_metadata',
      `is for the protocol bolt, and this is ${protocol}`,
    );
  }
  if (protocol !== 'bpcs') {
    const rule = `is for the protocol bpcs: a plugin of the protocol ${protocol} is given no configuration`;
    refuse(keys.configuration_schema !== undefined, 'configuration_schema', rule);
  }
  if (keys.command !== undefined) {
    if (keys.entrypoint !== undefined)
      add(['command'], 'CONFLICT', 'stands beside entrypoint: give one of the two');
    refuse(keys.files.length > 0, 'files', 'is for a script of the bundle, and this action has a command');
    refuse(
      keys.delivery === 'directory',
      'delivery',
      'is for a script of the bundle, and this action has a command',
    );
  }
}
