import assert from 'node:assert/strict';
import { ParameterInput } from '../../services/shared/gen/rune/v1/lmm.js';
import { PluginProtocol } from '../../services/shared/gen/rune/v1/mrs.js';
import { RunState } from '../../services/shared/gen/rune/v1/run.js';
import type { NodeCommand } from '../../services/lmm/transports/transport.js';
import { mediatorWith, sha256, startMessage, type StartFields } from '../support/scripted-mediator.js';
import { ended, untilStopped } from '../support/scripted-transport.js';
import { header, script, succeed, eventsOf, outcomeOf, cancel, refusal } from './mediate-calls.js';

describe('the mediator', () => {
  describe('with a plugin of another protocol', () => {
    const plugin = (protocol: PluginProtocol, more: object = {}): StartFields => ({
      plugin: { script: { sha256: sha256(script), content: script }, protocol, ...more },
    });

    it('makes the result of what it prints, also on standard error, which goes into the log as well', async () => {
      let seen: NodeCommand | undefined;
      const mediator = mediatorWith(async (command, sink) => {
        seen = command;
        sink.started();
        await sink.stdout(Buffer.from([0x61, 0xff]));
        await sink.stderr(Buffer.from('careful\n'));
        return ended(5);
      });
      const events = await eventsOf(mediator, plugin(PluginProtocol.RAW, { arguments: ['-v', 'a b'] }));
      const last = events.at(-1)?.event;
      assert.ok(last?.$case === 'outcome');
      assert.equal(last.value.error?.errorData?.name, 'PLUGIN_FAILED');
      assert.equal(
        last.value.result?.outputJson.toString(),
        '{"stdout":"a\ufffd","stderr":"careful\\n","exit_code":5}',
      );
      assert.ok(events.some(({ event }) => event.$case === 'log'));
      assert.deepEqual([seen?.arguments, seen?.input.length, seen?.environment], [['-v', 'a b'], 0, {}]);
    });

    it('keeps what was printed until it was stopped', async () => {
      const mediator = mediatorWith((_command, sink, stop) => {
        sink.started();
        void sink.stdout(Buffer.from('half'));
        return untilStopped(stop);
      });
      const run = mediator.start(startMessage(plugin(PluginProtocol.RAW)), header);
      cancel(mediator, run.runId);
      const outcome = await run.finished;
      assert.equal(outcome.state, RunState.CANCELLED);
      assert.equal(outcome.result?.outputJson.toString(), '{"stdout":"half","stderr":""}');
    });

    it('refuses a result that is small in bytes and too large as JSON', async () => {
      const mediator = mediatorWith(async (_command, sink) => {
        sink.started();
        await sink.stdout(Buffer.alloc(1000, 1));
        return ended(0);
      });
      for (const protocol of [PluginProtocol.RAW, PluginProtocol.NAGIOS, PluginProtocol.BOLT]) {
        const outcome = await outcomeOf(mediator, plugin(protocol));
        assert.equal(outcome.error?.errorData?.name, 'RESULT_TOO_LARGE');
        assert.equal(outcome.result, undefined);
      }
    });

    it('gives a Bolt task variables where it asks for them, and refuses those that cannot be', async () => {
      let seen: NodeCommand | undefined;
      const mediator = mediatorWith((command, sink) => {
        seen = command;
        return succeed(command, sink);
      });
      const task = plugin(PluginProtocol.BOLT, { parameterInput: ParameterInput.BOTH });
      await outcomeOf(mediator, { ...task, paramsJson: Buffer.from('{"a":[1]}') });
      assert.deepEqual(seen?.environment, { PT_a: '[1]', PT__task: 'noop' });
      assert.equal(seen.input.toString(), '{"a":[1],"_task":"noop"}');
      assert.equal(refusal(mediator, { ...task, paramsJson: Buffer.from('{"a;id":1}') }), 'FIELD_MALFORMED');
    });

    it('refuses one that it does not know', () => {
      const mediator = mediatorWith(() => assert.fail('the node was reached'));
      assert.equal(refusal(mediator, plugin(9 as PluginProtocol)), 'FIELD_MALFORMED');
    });
  });
});
