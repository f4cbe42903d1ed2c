import type { Inventory } from '../inventory/inventory.js';

/** An inventory that becomes another one as a whole, for whoever holds it. */
export interface LiveInventory extends Inventory {
  replace(next: Inventory): void;
}

/** An inventory that is what `first` is until it is replaced. */
export function createLiveInventory(first: Inventory): LiveInventory {
  let now = first;
  return {
    get nodes() {
      return now.nodes;
    },
    get groups() {
      return now.groups;
    },
    get warnings() {
      return now.warnings;
    },
    get configurations() {
      return now.configurations;
    },
    configurationOf: (node, action) => now.configurationOf(node, action),
    sourceOf: (node) => now.sourceOf(node),
    find: (name) => now.find(name),
    get: (name) => now.get(name),
    replace(next) {
      now = next;
    },
  };
}
