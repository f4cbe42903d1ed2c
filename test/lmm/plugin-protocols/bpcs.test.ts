import assert from 'node:assert/strict';
import { MediateStart } from '../../../services/shared/gen/rune/v1/lmm.js';
import { acceptHeader } from '../../../services/shared/messages/header.js';
import { BPCS } from '../../../services/lmm/plugin-protocols/bpcs.js';
import type { PluginAnswer } from '../../../services/lmm/plugin-protocols/plugin-protocol.js';
import type { PluginEnd } from '../../../services/lmm/transports/transport.js';

function decodeAnswer(stdout: Buffer, end: PluginEnd, dryRunAsked: boolean): PluginAnswer {
  return BPCS.decode({ stdout, stderr: Buffer.alloc(0), stderrTruncated: false, end, dryRunAsked });
}

const envelope = (payload: unknown, error: unknown = null): string => JSON.stringify({ payload, error });
const success = envelope({ result: 'success', output_data: { load: 0.5 } });

describe('the answer of a plugin', () => {
  const cases: [title: string, stdout: string | Buffer, exitCode: number, expected: string][] = [
    ['exit 0 with success is a success', success, 0, 'success'],
    ['white space around the object is nothing', `\n  ${success}\n\n`, 0, 'success'],
    ['metadata and observability may be missing', success, 0, 'success'],
    ['output_data may be missing', envelope({ result: 'success' }), 0, 'success'],
    ['nothing at all with exit 0 is no result', '', 0, 'OUTPUT_MISSING'],
    ['blank output with exit 0 is no result', ' \n\t', 0, 'OUTPUT_MISSING'],
    ['nothing at all with another exit code is a crash', '', 127, 'PLUGIN_CRASHED'],
    ['text is not JSON', 'all good\n', 0, 'OUTPUT_NOT_JSON'],
    ['text before the object is not JSON', `starting\n${success}`, 0, 'OUTPUT_NOT_JSON'],
    ['text after the object breaks the protocol', `${success}\ndone`, 0, 'OUTPUT_NOT_ALONE'],
    ['two objects break the protocol', `${success}\n${success}`, 0, 'OUTPUT_NOT_ALONE'],
    ['a cut object is not JSON', success.slice(0, -4), 0, 'OUTPUT_NOT_JSON'],
    ['an array is not an object', '[1]', 0, 'OUTPUT_NOT_AN_OBJECT'],
    ['a number is not an object', '42', 0, 'OUTPUT_NOT_AN_OBJECT'],
    ['null is not an object', 'null', 0, 'OUTPUT_NOT_AN_OBJECT'],
    ['a string is not an object', '"ok"', 0, 'OUTPUT_NOT_AN_OBJECT'],
    ['bytes that are not UTF-8 are told apart', Buffer.from([0x7b, 0xff, 0x7d]), 0, 'OUTPUT_NOT_UTF8'],
    ['an unknown result is malformed', envelope({ result: 'done' }), 0, 'OUTPUT_MALFORMED'],
    ['an empty object is malformed', '{}', 0, 'OUTPUT_MALFORMED'],
    ['a payload that is a list is malformed', envelope([]), 0, 'OUTPUT_MALFORMED'],
    [
      'output_data that is a list is malformed',
      envelope({ result: 'success', output_data: [] }),
      0,
      'OUTPUT_MALFORMED',
    ],
    ['an error that is text is malformed', envelope(null, 'broken'), 3, 'OUTPUT_MALFORMED'],
    ['dry_run that nobody asked for is malformed', envelope({ result: 'dry_run' }), 0, 'OUTPUT_MALFORMED'],
    [
      'exit 0 with an error is a contradiction',
      envelope(null, { code: 3, message: 'x' }),
      0,
      'OUTPUT_CONTRADICTS_EXIT',
    ],
    ['exit 0 with failure is a contradiction', envelope({ result: 'failure' }), 0, 'OUTPUT_CONTRADICTS_EXIT'],
    ['exit 3 with success is a contradiction', success, 3, 'OUTPUT_CONTRADICTS_EXIT'],
    [
      'exit 1 with an error is refused input',
      envelope(null, { code: 1, message: 'x' }),
      1,
      'PLUGIN_REFUSED_INPUT',
    ],
    [
      'exit 2 with an error is a missing dependency',
      envelope(null, { message: 'x' }),
      2,
      'PLUGIN_DEPENDENCY_MISSING',
    ],
    ['exit 3 with an error is a failure', envelope(null, { message: 'x' }), 3, 'PLUGIN_FAILED'],
    [
      'exit 3 with failure and no error object is a failure',
      envelope({ result: 'failure' }),
      3,
      'PLUGIN_FAILED',
    ],
    [
      'exit 4 with an error is a wrong configuration',
      envelope(null, { message: 'x' }),
      4,
      'PLUGIN_MISCONFIGURED',
    ],
    ['exit 100 with an error is a crash', envelope(null, { message: 'x' }), 100, 'PLUGIN_CRASHED'],
    ['another exit code with an error is a failure', envelope(null, { message: 'x' }), 255, 'PLUGIN_FAILED'],
  ];
  for (const [title, stdout, exitCode, expected] of cases) {
    it(title, () => {
      const answer = decodeAnswer(Buffer.from(stdout), { exitCode }, false);
      assert.equal(answer.error?.name ?? 'success', expected);
    });
  }

  it('keeps the start of a wrong answer as evidence', () => {
    const answer = decodeAnswer(Buffer.from(`oops ${'x'.repeat(10_000)}`), { exitCode: 0 }, false);
    assert.equal(answer.error?.facts.evidence?.length, 4096);
    assert.match(answer.error?.facts.evidence ?? '', /^oops x/);
  });

  it('is a death by signal whatever was printed', () => {
    assert.equal(decodeAnswer(Buffer.from(success), { signal: 'KILL' }, false).error?.name, 'PLUGIN_KILLED');
  });

  it('must say dry_run when a dry run was asked for', () => {
    const dry = Buffer.from(envelope({ result: 'dry_run', output_data: { would: 1 } }));
    assert.equal(decodeAnswer(dry, { exitCode: 0 }, true).dryRun, true);
    assert.equal(
      decodeAnswer(Buffer.from(success), { exitCode: 0 }, true).error?.name,
      'DRY_RUN_NOT_HONOURED',
    );
  });

  it('carries message, code and details of a reported failure, details also under their older name', () => {
    const said = (error: object): ReturnType<typeof decodeAnswer> =>
      decodeAnswer(Buffer.from(envelope(null, error)), { exitCode: 3 }, false);
    assert.equal(
      said({ code: 3, message: 'no such unit', details: { unit: 'x' } }).error?.message,
      'no such unit',
    );
    assert.equal(said({ code: 3, message: 'm' }).error?.facts.pluginCode, 3);
    assert.equal(
      said({ message: 'm', details: { unit: 'x' } }).error?.facts.pluginDetailsJson,
      '{"unit":"x"}',
    );
    assert.equal(said({ message: 'm', data: [1] }).error?.facts.pluginDetailsJson, '[1]');
    assert.equal(said({}).error?.message, 'It gave no message.');
  });

  it('keeps output_data exactly as it was printed', () => {
    const printed = '{"a": 1.0, "big": 12345678901234567890, "payload": {"output_data": 1}, "s": "}\\"{"}';
    const text = `{"error":null,"payload":{"output_data":{"first":1},"result":"success","output_data" : ${printed} }}`;
    assert.equal(decodeAnswer(Buffer.from(text), { exitCode: 0 }, false).output?.json, printed);
  });
});

describe('the input of a plugin', () => {
  const start = (fields: Parameters<typeof MediateStart.fromPartial>[0]): MediateStart =>
    MediateStart.fromPartial(fields);
  const header = acceptHeader(undefined, { identity: 'test', nowMs: Date.now() });

  it('holds parameters, context and trace ids, with the parameters as the bytes they came as', () => {
    const text = BPCS.input(
      start({
        action: 'noop',
        runId: 'r',
        executionId: 'e',
        attempt: 2,
        paramsJson: Buffer.from('{"n":1.0,"s":"$(id)"}'),
        target: { name: 'web01' },
        context: {
          dryRun: true,
          triggeredBy: 'alice',
          reason: 'why',
          nodeVarsJson: Buffer.from('{"role":"db"}'),
          nodeLabels: { env: 'prod' },
          configurationJson: Buffer.from('{"paths":["/srv"],"n":1.0}'),
        },
      }),
      header,
    ).toString();
    assert.ok(text.includes('"input_parameters":{"n":1.0,"s":"$(id)"}'));
    const input = JSON.parse(text) as { payload: { context: object }; observability: object };
    assert.deepEqual(input.payload.context, {
      node: 'web01',
      action: 'noop',
      execution_id: 'e',
      run_id: 'r',
      attempt: 2,
      dry_run: true,
      triggered_by: 'alice',
      reason: 'why',
      node_labels: { env: 'prod' },
      node_vars: { role: 'db' },
      configuration: { paths: ['/srv'], n: 1 },
    });
    assert.deepEqual(input.observability, {
      trace_id: header.observability?.traceId,
      span_id: header.observability?.spanId,
    });
  });

  it('is a whole document even when nothing was given', () => {
    const input = JSON.parse(BPCS.input(start({}), header).toString()) as {
      payload: { input_parameters: object };
    };
    assert.deepEqual(input.payload.input_parameters, {});
  });
});
