/** A plugin that makes processes which are hard to end. */
export interface HostilePlugin {
  readonly title: string;
  /**
   * Its text. `sleep` is a command that the test finds in the process table. After "ready" it stays, or it ends by itself with
   * exit code 0 and leaves what it started behind.
   */
  script(sleep: string, endsItself: boolean): string;
}

const plugin = (title: string, setUp: (sleep: string) => string): HostilePlugin => ({
  title,
  script: (sleep, endsItself) => `${setUp(sleep)}\necho ready\n${endsItself ? 'exit 0' : sleep}\n`,
});

/** Every way in which a plugin is known to have outlived its end in systems like this one. */
export const HOSTILE_PLUGINS: readonly HostilePlugin[] = [
  plugin(
    'a cooperative leader with a grandchild that ignores TERM',
    (sleep) => `(trap '' TERM; ${sleep}; ${sleep}) &`,
  ),
  plugin('job control (set -m)', (sleep) => `set -m; ${sleep} & (trap '' TERM; ${sleep}; ${sleep}) &`),
  {
    title: 'kill -STOP $$',
    script: (sleep, endsItself) =>
      endsItself
        ? `${sleep} & (until read -r _ _ state _ </proc/$$/stat && [ "$state" = T ]; do :; done; kill -CONT $$) &\n` +
          'kill -STOP $$; echo ready; exit 0\n'
        : `${sleep} & echo ready; kill -STOP $$; ${sleep}\n`,
  },
  plugin(
    'kill $PPID, with TERM and with STOP',
    (sleep) => `${sleep} & for s in HUP INT TERM QUIT USR1 PIPE STOP; do kill -$s $PPID; done`,
  ),
  plugin('kill 0', (sleep) => `trap : TERM; kill 0; trap - TERM; ${sleep} &`),
  plugin('setsid', (sleep) => `setsid ${sleep} & setsid bash -c "trap '' TERM; ${sleep}; ${sleep}" &`),
  plugin('a double fork', (sleep) => `(setsid bash -c '${sleep} & ${sleep} &' &)`),
  plugin('names that read like the fields of the process table', (sleep) =>
    [') S 1 2 3 4 5 6', ') S 1 2 3 4', 'a b) c', '\\n) S 1 2 3 4', '))']
      .map((name) => `setsid bash -c 'printf "${name}" >/proc/$$/comm; while :; do ${sleep}; done' &`)
      .join('\n'),
  ),
  plugin('a background child that holds the outputs', (sleep) => `${sleep} & (${sleep}) & disown -a`),
];
