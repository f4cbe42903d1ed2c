import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { sshNode, startWorld, type World } from '../support/world.js';

const run = promisify(execFile);
const BUF = join(packageRoot, 'node_modules', '.bin', 'buf');

describe('clients that know nothing of this project', () => {
  let world: World;
  before(async () => {
    world = await startWorld({ nodes: (sshd) => ({ web01: sshNode(sshd, 'root') }) });
  });
  after(() => world.stop());

  const curl = (address: string, method: string, body?: string): ReturnType<typeof run> =>
    run(BUF, [
      'curl',
      '--http2-prior-knowledge',
      '--protocol',
      'grpc',
      ...(body === undefined ? ['--list-methods'] : ['--data', body]),
      `http://${address}${method}`,
    ]);

  it('list the methods of both services by reflection', async () => {
    const lom = await curl(world.lom.address, '');
    for (const method of ['LomService/Run', 'LomService/PlanExecution', 'LomService/GetNode']) {
      assert.match(String(lom.stdout), new RegExp(`rune\\.v1\\.${method}`));
    }
    const lmm = await curl(world.lmm.address, '');
    assert.match(String(lmm.stdout), /rune\.v1\.LmmService\/Mediate/);
  });

  it('ask for health', async () => {
    for (const { address } of [world.lom, world.lmm]) {
      const { stdout } = await curl(address, '/grpc.health.v1.Health/Check', '{}');
      assert.match(String(stdout), /"status":\s*"SERVING"/);
    }
  });

  it('run an action with plain JSON and read typed events', async () => {
    const { stdout } = await curl(
      world.lom.address,
      '/rune.v1.LomService/Run',
      '{"action":"noop","targets":{"nodes":["user"]},"params":{"message":"hello"}}',
    );
    const events = String(stdout)
      .split(/^(?=\{$)/m)
      .filter((text) => text.trim() !== '')
      .map((text) => JSON.parse(text) as { seq: string; outcome?: object; execution?: { state: string } });
    const outcome = events.find((event) => event.outcome !== undefined)?.outcome as {
      state: string;
      result: object;
    };
    assert.equal(outcome.state, 'RUN_STATE_SUCCEEDED');
    assert.deepEqual(events.at(-1)?.execution?.state, 'EXECUTION_STATE_SUCCEEDED');
    assert.match(JSON.stringify(outcome.result), /"message":"hello"/);
  });

  it('decode the details of a refusal', async () => {
    const failed = await curl(world.lom.address, '/rune.v1.LomService/GetAction', '{"action":"nope"}').then(
      () => assert.fail('it was found'),
      (error: { stderr: string }) => error.stderr,
    );
    const refusal = JSON.parse(failed) as { code: string; details: { type: string }[] };
    assert.equal(refusal.code, 'not_found');
    assert.deepEqual(
      refusal.details
        .map(({ type }) => type)
        .filter((type) => type === 'rune.v1.EpsError' || type === 'google.rpc.ErrorInfo'),
      ['rune.v1.EpsError', 'google.rpc.ErrorInfo'],
    );
  });

  it('probe a node through its mediator', async () => {
    const { stdout } = await curl(
      world.lom.address,
      '/rune.v1.LomService/GetNode',
      '{"name":"user","probe":true}',
    );
    const { probe } = JSON.parse(String(stdout)) as { probe: Record<string, unknown> };
    assert.equal(probe.authenticated, true);
    assert.ok(world.sshd.hostKeyFingerprints.includes(String(probe.hostKeyFingerprint)));
  });

  describe('make the calls that the README shows', () => {
    const shown = readFileSync(join(packageRoot, 'README.md'), 'utf8').matchAll(
      /^grpcurl -plaintext (?:-d '(.*)' )?\S+ ([a-z0-9.]+\.[A-Z]\w+)\/(\w+)$/gm,
    );
    const calls = [...shown].map(([, body, service, method]) => ({
      body: body ?? '{}',
      method: `/${service}/${method}`,
    }));

    it('all of them', () => assert.equal(calls.length, 10));
    for (const { body, method } of calls) {
      it(`${method} ${body}`, async () => {
        const answer = curl(world.lom.address, method, body);
        // Their id is a placeholder.
        if (!/\/(?:Cancel|Watch)Execution$/.test(method)) assert.notEqual((await answer).stdout, '');
        else
          await assert.rejects(answer, ({ stderr }: { stderr: string }) =>
            stderr.includes('"code": "not_found"'),
          );
      });
    }
  });

  describe('in Python, made from the proto files alone', () => {
    let directory: string;
    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'rune-python-'));
      execFileSync('/usr/bin/python3', [
        '-m',
        'grpc_tools.protoc',
        `-I${join(packageRoot, 'proto')}`,
        `--python_out=${directory}`,
        `--grpc_python_out=${directory}`,
        ...['rcs', 'eps', 'mrs', 'run', 'lom'].map((name) => `rune/v1/${name}.proto`),
        'google/rpc/status.proto',
        'google/rpc/error_details.proto',
      ]);
      writeFileSync(join(directory, 'client.py'), PYTHON_CLIENT);
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    it('run an action and decode a refusal', async () => {
      const { stdout } = await run('/usr/bin/python3', [join(directory, 'client.py'), world.lom.address]);
      assert.deepEqual(JSON.parse(stdout), {
        output: { message: 'from python' },
        refused: 'NODE_NOT_FOUND',
        status: 'NOT_FOUND',
      });
    });
  });
});

const PYTHON_CLIENT = `
import json, sys
import grpc
from google.protobuf import json_format
from rune.v1 import lom_pb2, lom_pb2_grpc, eps_pb2, run_pb2
from google.rpc import status_pb2

stub = lom_pb2_grpc.LomServiceStub(grpc.insecure_channel(sys.argv[1]))
request = lom_pb2.RunRequest(action="noop", targets=lom_pb2.Targets(nodes=["user"]))
request.params.update({"message": "from python"})
output = None
for event in stub.Run(request):
    if event.WhichOneof("event") == "outcome":
        assert event.outcome.state == run_pb2.RUN_STATE_SUCCEEDED
        output = json_format.MessageToDict(event.outcome.result.output)

try:
    stub.GetNode(lom_pb2.GetNodeRequest(name="nope"))
except grpc.RpcError as error:
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    details = status_pb2.Status.FromString(trailer).details
    eps = eps_pb2.EpsError()
    assert details[0].Unpack(eps)
    print(json.dumps({"output": output, "refused": eps.error_data.name, "status": error.code().name}))
`;
