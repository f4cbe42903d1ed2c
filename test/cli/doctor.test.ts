import assert from 'node:assert/strict';
import { RuneError } from '../../services/shared/errors.js';
import {
  GetNodeResponse,
  ListActionsResponse,
  ListNodesResponse,
  PlanExecutionResponse,
} from '../../services/shared/gen/rune/v1/lom.js';
import { runeWorld } from '../support/rune-world.js';
import { TAIL_LOG, WEB01 } from '../support/scripted-lom.js';
import { failure } from './events.js';

describe('rune doctor', () => {
  const { lomOf, rune } = runeWorld();

  it('checks service, health, actions, nodes and each named node', async () => {
    const lom = await lomOf(() => ({
      getNode: async ({ name }) =>
        GetNodeResponse.fromPartial({
          probe:
            name === 'web01'
              ? { authenticated: true, hostKeyFingerprint: 'SHA256:abc', hostKeyAccepted: true }
              : { error: failure('NODE_CONNECT_TIMEOUT', 'No answer in 10 s.', name) },
        }),
    }));
    const { code, out } = await rune(['doctor', '--node', 'web01,web02', '--server', lom.address]);
    assert.equal(code, 6);
    assert.match(out, /^\[ ok \] rune +version \d+\.\d+\.\d+/m);
    assert.match(out, /^\[ ok \] service +LOM answers on 127\.0\.0\.1:\d+/m);
    assert.match(out, /^\[ ok \] health +SERVING$/m);
    assert.match(out, /^\[ ok \] actions +1 action loaded$/m);
    assert.match(out, /^\[ ok \] nodes +1 node loaded$/m);
    assert.match(out, /^\[ ok \] node web01 +can be reached/m);
    assert.match(out, /^\[FAIL\] node web02 +NODE_CONNECT_TIMEOUT: No answer in 10 s\.$/m);
  });

  it('says that nothing else could be tried where the service does not answer, and ends with 5', async () => {
    const { code, out } = await rune(['doctor', '--node', 'web01', '--server', '127.0.0.1:1']);
    assert.equal(code, 5);
    assert.match(out, /^\[FAIL\] service +SERVICE_UNREACHABLE/m);
    assert.match(out, /^\[skip\] node web01 +not tried/m);
  });

  it('has a form for machines', async () => {
    const lom = await lomOf(() => ({}));
    const { out } = await rune(['doctor', '-o', 'json', '--server', lom.address]);
    assert.deepEqual(
      JSON.parse(out).checks.map(({ name, state }: { name: string; state: string }) => `${name} ${state}`),
      ['rune ok', 'service ok', 'health ok', 'actions ok', 'nodes ok', 'mediators warn'],
    );
  });

  it('fails where a mediator does not answer, and says where to start it', async () => {
    const probed: string[] = [];
    const lom = await lomOf(() => ({
      planExecution: async () =>
        PlanExecutionResponse.fromPartial({
          runs: [
            { node: 'web01', mediator: '192.0.2.9:50052' },
            { node: 'web02', mediator: '192.0.2.9:50052' },
            { node: 'web03', mediator: '192.0.2.10:50052' },
          ],
        }),
      getNode: async ({ name }) => {
        probed.push(name);
        const error =
          name === 'web01'
            ? failure('MEDIATOR_UNAVAILABLE', 'No mediator of web01 answers.', name)
            : failure('NODE_UNREACHABLE', 'web03 is down.', name);
        return GetNodeResponse.fromPartial({ probe: { error } });
      },
    }));
    const { code, out } = await rune(['doctor', '--server', lom.address]);
    assert.equal(code, 5);
    assert.deepEqual(probed.toSorted(), ['web01', 'web03']);
    assert.match(out, /^\[FAIL\] mediator 192\.0\.2\.9:50052 +MEDIATOR_UNAVAILABLE: No mediator of web01/m);
    assert.match(out, /Start rune-lmm at 192\.0\.2\.9:50052/);
    assert.match(out, /^\[warn\] mediator 192\.0\.2\.10:50052 +asked for web03/m);
  });

  it('plans an action that needs no parameters, over the nodes that are not in maintenance', async () => {
    const resting = { ...WEB01, name: 'web02', maintenance: true };
    const lom = await lomOf(() => ({
      listActions: async () =>
        ListActionsResponse.fromPartial({ actions: [TAIL_LOG, { ...TAIL_LOG, action: 'uptime' }] }),
      listNodes: async () => ListNodesResponse.fromPartial({ nodes: [WEB01, resting] }),
      planExecution: async ({ action, targets }) => {
        if (action === 'tail-log') throw new RuneError('INVALID_PARAMS', 'unit is missing.');
        assert.deepEqual(targets?.nodes, ['web01']);
        return PlanExecutionResponse.fromPartial({ runs: [{ node: 'web01', mediator: 'lmm:1' }] });
      },
      getNode: async ({ name }) => GetNodeResponse.fromPartial({ node: name === 'web02' ? resting : WEB01 }),
    }));
    const { code, out } = await rune(['doctor', '--node', 'web02', '--server', lom.address]);
    assert.equal(code, 0);
    assert.match(out, /^\[ ok \] mediator lmm:1 +answers$/m);
    assert.match(
      out,
      /^\[warn\] nodes +2 nodes loaded\n +in maintenance, so a run there is refused: web02$/m,
    );
    assert.match(out, /^\[warn\] node web02 +can be reached, but is in maintenance/m);
  });
});
