import { settledWithin } from '../../shared/settled-within.js';

/** Nobody waits longer than this for the mediator's answer to another run; then the plugin is sent along once more. */
const ARRIVAL_WAIT_MS = 2_000;

/** What one run has to do with its plugin. */
export interface PluginSending {
  /** The mediator had it, and is spared its bytes; it asks for them if it has lost them since. */
  readonly isThere: boolean;
  /** The mediator has answered: it has the plugin. */
  arrived(): void;
  /** The mediator has not answered, or not so. Harmless when repeated, and after the other. */
  failed(): void;
}

/** Which plugins one mediator has been sent, by digest. */
export interface SentPlugins {
  /**
   * Whether a run has to send the plugin. The first does; runs that begin before it was answered wait for that, for a moment,
   * since a thousand copies on their way at once cost both sides more than the wait.
   */
  ask(digest: string): Promise<PluginSending>;
}

/** Makes the SentPlugins of a mediator that has none. */
export function createSentPlugins(): SentPlugins {
  const there = new Set<string>();
  const underWay = new Map<string, Promise<void>>();

  return {
    async ask(digest) {
      const other = there.has(digest) ? undefined : underWay.get(digest);
      if (other !== undefined) await settledWithin(other, ARRIVAL_WAIT_MS);
      const isThere = there.has(digest);
      const isFirst = !isThere && !underWay.has(digest);
      let settle = (): void => undefined;
      if (isFirst) underWay.set(digest, new Promise<void>((resolve) => (settle = resolve)));
      const failed = (): void => {
        if (isFirst) underWay.delete(digest);
        settle();
      };
      return {
        isThere,
        arrived() {
          there.add(digest);
          failed();
        },
        failed,
      };
    },
  };
}
