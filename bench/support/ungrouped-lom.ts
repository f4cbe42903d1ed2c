import { LOM_SETTINGS } from '../../services/lom/config.js';
import { startLom } from '../../services/lom/service.js';
import { openStore } from '../../services/lom/store/open-store.js';
import type { ExecutionChange, Store } from '../../services/lom/store/store.js';
import { runService } from '../../services/shared/process/run-service.js';

// rune-lom with a store that gives each write a transaction of its own, which is what it would be without group commit.

/** The changes that one change was made of, as far as they can be told apart. */
function partsOf(change: ExecutionChange): ExecutionChange[] {
  if (change.events.length < 2) return [change];
  const { executionId, epoch, events } = change;
  const before = events.slice(0, -1).map((event) => ({ executionId, epoch, events: [event], runs: [] }));
  return [...before, { ...change, events: events.slice(-1) }];
}

function ungrouped(store: Store): Store {
  let last: Promise<unknown> = Promise.resolve();
  return {
    ...store,
    createExecution(execution, windowMs) {
      const made = last.then(() => store.createExecution(execution, windowMs));
      last = made.catch(() => undefined);
      return made;
    },
    async commit(changes) {
      const refused = new Set<string>();
      for (const part of changes.flatMap(partsOf))
        for (const id of await store.commit([part])) refused.add(id);
      return refused;
    },
  };
}

await runService(
  {
    name: 'rune-lom',
    summary: 'rune-lom without group commit, to measure what that is worth',
    prefix: 'LOM',
    settings: LOM_SETTINGS,
    start: (settings, tools) =>
      startLom(settings, tools, async (...asked) => ungrouped(await openStore(...asked))),
  },
  { argv: process.argv.slice(2), env: process.env },
);
