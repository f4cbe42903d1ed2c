import type { ConnectionSettings, GroupEntry, GroupSettings, NodeSettings } from './inventory-entries.js';

/** What a node has by itself and through its groups. */
export interface Inheritance {
  /** One connection setting. */
  setting<Key extends keyof ConnectionSettings>(key: Key): ConnectionSettings[Key] | undefined;
  /** All values of one kind, such as labels, by their keys; `kind` names it in conflicts. */
  merged<Value>(
    kind: string,
    read: (settings: NodeSettings | GroupSettings) => Readonly<Record<string, Value>> | undefined,
  ): Record<string, Value>;
}

/**
 * The node's own value wins; otherwise all its groups that give one must agree. Where two do not, `onConflict` is told the key
 * and the two groups.
 */
export function inheritance(
  node: NodeSettings,
  groups: readonly GroupEntry[],
  onConflict: (key: string, first: string, second: string) => void,
): Inheritance {
  const choose = <Value>(
    key: string,
    own: Value | undefined,
    read: (settings: GroupSettings) => Value | undefined,
  ): Value | undefined => {
    if (own !== undefined) return own;
    let chosen: { readonly group: string; readonly value: Value } | undefined;
    for (const { name, settings } of groups) {
      const value = read(settings);
      if (value === undefined) continue;
      if (chosen === undefined) chosen = { group: name, value };
      else if (JSON.stringify(value) !== JSON.stringify(chosen.value)) {
        onConflict(key, chosen.group, name);
        break;
      }
    }
    return chosen?.value;
  };
  return {
    setting: (key) => choose(key, node[key], (settings) => settings.defaults?.[key]),
    merged(kind, read) {
      const keys = new Set(
        [node, ...groups.map(({ settings }) => settings)].flatMap((of) => Object.keys(read(of) ?? {})),
      );
      const merged: [string, NonNullable<ReturnType<typeof read>>[string]][] = [];
      for (const key of keys) {
        const value = choose(`${kind}.${key}`, ownValue(read(node), key), (settings) =>
          ownValue(read(settings), key),
        );
        if (value !== undefined) merged.push([key, value]);
      }
      return Object.fromEntries(merged);
    },
  };
}

/** The value of a key that the object itself holds, whatever every object has by that name. */
function ownValue<Value>(
  values: Readonly<Record<string, Value>> | undefined,
  key: string,
): Value | undefined {
  return values !== undefined && Object.hasOwn(values, key) ? values[key] : undefined;
}
