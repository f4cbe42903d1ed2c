import assert from 'node:assert/strict';
import { type Handlers, runCli } from '../../services/cli/cli.js';
import { createFakeIo } from './fake-io.js';

/** What the command line makes of `line`: the handler it calls with its options, or the exit code and the complaint. */
async function parse(
  line: string,
): Promise<{ called?: [string, unknown]; code: number; err: string; out: string }> {
  let called: [string, unknown] | undefined;
  const note = (name: keyof Handlers) => (options: unknown) => {
    called = [name, options];
    return Promise.resolve(0);
  };
  const names = [
    ...(['run', 'executions', 'actions', 'nodes', 'doctor', 'up', 'script', 'complete'] as const),
    ...(['pluginNew', 'pluginLint', 'pluginTest', 'pluginRun'] as const),
  ];
  const handlers = Object.fromEntries(names.map((name) => [name, note(name)])) as unknown as Handlers;
  const io = createFakeIo();
  const code = await runCli(line.split(' ').filter(Boolean), io, handlers);
  return { ...(called && { called }), code, err: io.err(), out: io.out() };
}

const SERVICE = { callTimeoutMs: 10_000 };
const EXECUTION = {
  service: SERVICE,
  nodes: ['a'],
  groups: [],
  labels: {},
  exclude: [],
  allowEmpty: false,
  params: [],
  mode: 'run',
  dryRun: false,
  acknowledgeRisk: false,
  canary: false,
  atLeastOnce: false,
  cancelOnDisconnect: false,
};
const RUN = { ...EXECUTION, action: 'noop' };
const LIST = {
  kind: 'list',
  service: SERVICE,
  action: undefined,
  node: undefined,
  states: [],
  by: undefined,
  since: undefined,
  until: undefined,
  correlationId: undefined,
  limit: 100,
};
const WATCH = {
  kind: 'watch',
  service: SERVICE,
  id: 'e',
  fromSeq: 1,
  nodes: [],
  log: true,
  resumeForMs: undefined,
};
const CANCEL = { kind: 'cancel', service: SERVICE, reason: undefined, yes: false };
const RERUN = {
  kind: 'rerun',
  service: SERVICE,
  id: 'e',
  onlyFailed: false,
  params: [],
  reason: undefined,
  acknowledgeRisk: false,
  detach: false,
  requestId: undefined,
  resumeForMs: undefined,
};

describe('the command line', () => {
  const understood: [string, string, unknown][] = [
    ['run noop --node a', 'run', RUN],
    ['run --node a noop', 'run', RUN],
    ['run noop@1.2.0 -n a', 'run', { ...RUN, action: 'noop@1.2.0' }],
    ['run noop -n a,b -n c', 'run', { ...RUN, nodes: ['a', 'b', 'c'] }],
    [
      'run noop -g web -l k=v -l x=y=z',
      'run',
      { ...RUN, nodes: [], groups: ['web'], labels: { k: 'v', x: 'y=z' } },
    ],
    ['run noop -n a --exclude b', 'run', { ...RUN, exclude: ['b'] }],
    ['run noop -n a -p k=v', 'run', { ...RUN, params: [{ key: 'k', kind: 'text', value: 'v' }] }],
    ['run noop -n a --plan', 'run', { ...RUN, mode: 'plan' }],
    ['run noop -n a --plan --dry-run', 'run', { ...RUN, mode: 'plan', dryRun: true }],
    ['run noop -n a --transport local', 'run', { ...RUN, transport: 'local' }],
    ['run noop -n a --use-ssm', 'run', { ...RUN, transport: 'ssm' }],
    ['run noop -n a -y --timeout 2m', 'run', { ...RUN, acknowledgeRisk: true, timeoutMs: 120_000 }],
    ['run noop -n a --save d', 'run', { ...RUN, saveDirectory: 'd' }],
    ['run noop -n a --standalone', 'run', { ...RUN, standalone: { plugins: [], inventories: [] } }],
    [
      'run noop -n a --standalone --plugins p --inventory i',
      'run',
      { ...RUN, standalone: { plugins: ['p'], inventories: ['i'] } },
    ],
    [
      'run noop -n a --standalone --lmm-config c',
      'run',
      { ...RUN, standalone: { plugins: [], inventories: [], lmmConfig: 'c' } },
    ],
    [
      'run noop -n a -o json --server h:1 --context c',
      'run',
      { ...RUN, service: { ...SERVICE, output: 'json', server: 'h:1', context: 'c' } },
    ],
    ['run noop -n a --call-timeout 1s', 'run', { ...RUN, service: { callTimeoutMs: 1000 } }],
    ['run noop -n a --detach', 'run', { ...RUN, mode: 'detach' }],
    ['run noop -n a --request-id r --resume-for 5m', 'run', { ...RUN, requestId: 'r', resumeForMs: 300_000 }],
    [
      'run noop -n a --batch 25% --max-failures 3 --canary',
      'run',
      { ...RUN, batchSize: '25%', maxFailures: '3', canary: true },
    ],
    ['executions', 'executions', LIST],
    [
      'executions list -a noop -n a -s failed,timed-out -s RUNNING --by me --since 2h --correlation-id c --limit 5',
      'executions',
      {
        ...LIST,
        action: 'noop',
        node: 'a',
        states: ['failed', 'timed_out', 'running'],
        by: 'me',
        since: { agoMs: 7_200_000 },
        correlationId: 'c',
        limit: 5,
      },
    ],
    ['executions show e', 'executions', { kind: 'show', service: SERVICE, id: 'e', outcomes: false }],
    ['executions watch e', 'executions', WATCH],
    [
      'executions watch e --from-seq 7 -n a,b --no-log --resume-for 1s',
      'executions',
      { ...WATCH, fromSeq: 7, nodes: ['a', 'b'], log: false, resumeForMs: 1000 },
    ],
    ['executions cancel e f e', 'executions', { ...CANCEL, what: { ids: ['e', 'f'] } }],
    ['executions cancel --all', 'executions', { ...CANCEL, what: { action: undefined } }],
    [
      'executions cancel --all -a noop -y --reason r',
      'executions',
      { ...CANCEL, what: { action: 'noop' }, yes: true, reason: 'r' },
    ],
    ['executions rerun e', 'executions', RERUN],
    [
      'executions rerun e --failed --detach -y --reason r --request-id q',
      'executions',
      { ...RERUN, onlyFailed: true, detach: true, acknowledgeRisk: true, reason: 'r', requestId: 'q' },
    ],
    [
      'executions rerun e -p token=@file',
      'executions',
      { ...RERUN, params: [{ key: 'token', kind: 'file', value: 'file' }] },
    ],
    ['actions', 'actions', { service: SERVICE }],
    ['actions list -o ndjson', 'actions', { service: { ...SERVICE, output: 'ndjson' } }],
    ['actions show noop', 'actions', { service: SERVICE, name: 'noop' }],
    ['nodes', 'nodes', { kind: 'list', service: SERVICE, groups: [], labels: {} }],
    ['nodes --group web', 'nodes', { kind: 'list', service: SERVICE, groups: ['web'], labels: {} }],
    ['nodes import ansible hosts.ini', 'nodes', { kind: 'import', file: 'hosts.ini' }],
    ['nodes show a --probe', 'nodes', { kind: 'show', service: SERVICE, name: 'a', probe: true }],
    [
      'nodes trust a',
      'nodes',
      { kind: 'trust', service: SERVICE, name: 'a', inventory: undefined, knownHosts: false, yes: false },
    ],
    [
      'nodes trust a --inventory i.yaml -y',
      'nodes',
      { kind: 'trust', service: SERVICE, name: 'a', inventory: 'i.yaml', knownHosts: false, yes: true },
    ],
    ['doctor --node a,b', 'doctor', { service: SERVICE, nodes: ['a', 'b'] }],
    ['up', 'up', { plugins: [], inventories: [], listen: '127.0.0.1:50051', verbose: false }],
    [
      'up --listen 127.0.0.1:0 -v',
      'up',
      { plugins: [], inventories: [], listen: '127.0.0.1:0', verbose: true },
    ],
    ['plugin new hello', 'pluginNew', { name: 'hello', language: 'bash', risk: 'read_only', directory: '.' }],
    [
      'plugin new hello --language perl --risk low --directory d',
      'pluginNew',
      { name: 'hello', language: 'perl', risk: 'low', directory: 'd' },
    ],
    ['plugin lint d', 'pluginLint', { directory: 'd', strict: false, output: 'pretty' }],
    ['plugin lint d --strict -o json', 'pluginLint', { directory: 'd', strict: true, output: 'json' }],
    [
      'plugin test d --case a,b --case c --allow-changes',
      'pluginTest',
      { directory: 'd', cases: ['a,b', 'c'], allowChanges: true, output: 'pretty' },
    ],
    [
      'plugin run d -p k=v --dry-run',
      'pluginRun',
      {
        directory: 'd',
        execution: {
          ...EXECUTION,
          nodes: ['localhost'],
          params: [{ key: 'k', kind: 'text', value: 'v' }],
          dryRun: true,
        },
        services: { inventories: [] },
      },
    ],
    [
      'plugin run d -n a --inventory i --lmm-config c -o json',
      'pluginRun',
      {
        directory: 'd',
        execution: { ...EXECUTION, service: { ...SERVICE, output: 'json' } },
        services: { inventories: ['i'], lmmConfig: 'c' },
      },
    ],
    ['completion zsh', 'script', 'zsh'],
    ['__complete -- run --no', 'complete', ['run', '--no']],
  ];
  for (const [line, name, options] of understood) {
    it(`understands: rune ${line}`, async () => {
      const { called, err } = await parse(line);
      assert.deepEqual(called, [name, options], err);
    });
  }

  const refused: [string, RegExp][] = [
    ['', /Usage: rune/],
    ['frobnicate', /unknown command 'frobnicate'/],
    ['nodes frobnicate web01', /'nodes' has no command 'frobnicate'/],
    ['run', /missing required argument 'action'/],
    ['run noop', /Name the nodes: --node, --group or --select/],
    ['run noop web01 web02', /did you mean --node web01,web02\?\nSee: rune run --help$/m],
    ['nodes show', /missing required argument 'name'[^]*See: rune nodes show --help/],
    ['nodes trust a --inventory i --known-hosts', /cannot be used with/],
    ['run noop -n a --nod b', /unknown option '--nod'/],
    ['run noop -n', /argument missing/],
    ['run noop -n a,,b', /--node "a,,b": a name is empty/],
    ['run noop -l novalue', /--select novalue: write key=value/],
    ['run noop -l k=1 -l k=2', /--select k=2: no node has two values of k/],
    ['run noop -n a --timeout 30', /--timeout 30: not a duration.*\nSee: rune run --help$/m],
    ['run noop -n a --max-parallel 0', /--max-parallel 0: must be a whole number/],
    ['run noop -n a --max-parallel 4294967296', /--max-parallel 4294967296/],
    ['run noop -n a -o yaml', /Allowed choices are pretty, json, ndjson/],
    ['run noop -n a --use-ssm --transport ssh', /cannot be used with/],
    ['run noop -n a --plan --save d', /cannot be used with/],
    ['run noop -n a --detach --plan', /cannot be used with/],
    ['run noop -n a --detach --save d', /cannot be used with/],
    ['run noop -n a --detach --standalone', /cannot be used with/],
    ['run noop -n a --detach --cancel-on-disconnect', /cannot be used with/],
    ['run noop -n a --plan --request-id r', /cannot be used with/],
    ['run noop -n a --batch 101%', /--batch 101%: write a count such as 10, or a share such as 25%/],
    ['run noop -n a --on-locked wait', /--on-locked/],
    ['run noop -n a --queue-timeout soon', /--queue-timeout/],
    ['run noop -n a --max-failures few', /--max-failures few: write a count/],
    ['executions show', /missing required argument 'id'[^]*See: rune executions show --help/],
    ['executions list --state done', /--state done: there is no such state; known: pending_approval, queued/],
    ['executions list --since yesterday', /--since yesterday: write how long ago/],
    ['executions list --limit 0', /--limit 0: must be a whole number/],
    ['executions cancel', /Name the executions, or give --all/],
    ['executions cancel e --all', /Name executions or give --all, not both/],
    ['executions cancel e --action noop', /--action belongs to --all/],
    ['plugin run d --detach', /unknown option '--detach'/],
    ['run noop -n a --standalone --server h:1', /cannot be used with/],
    ['run noop -n a --plugins p', /--plugins, --inventory and --lmm-config belong to --standalone/],
    ['run noop -n a -p =v', /--param =v: write key=value/],
    ['up --listen 50051', /--listen 50051: write host:port/],
    ['plugin', /Usage: rune plugin/],
    ['plugin new', /missing required argument 'name'/],
    ['plugin run d --inventory i', /Name the nodes: --node, --group or --select/],
    ['plugin run d --server h:1', /unknown option '--server'/],
    ['plugin test', /missing required argument 'directory'/],
    ['plugin new a --language cobol', /Allowed choices are bash, python, perl/],
    ['completion fish', /Allowed choices are bash, zsh/],
    ['help nothing', /there is no such command or topic/],
  ];
  for (const [line, message] of refused) {
    it(`refuses with 2: rune ${line}`, async () => {
      const { called, code, err, out } = await parse(line);
      assert.equal(called, undefined);
      assert.equal(code, 2);
      assert.match(err, message);
      assert.equal(out, '');
    });
  }
});
