import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { RuneError } from '../../services/shared/errors.js';
import { RunRequest } from '../../services/shared/gen/rune/v1/lom.js';
import { acceptHeader } from '../../services/shared/messages/header.js';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** What setting each field of a request does. A field that is missing here fails the test: decide, then write it down. */
const EFFECT: Readonly<Record<string, 'served' | 'carried' | 'refused'>> = {
  'header.message_metadata.version': 'served',
  'header.message_metadata.message_id': 'served',
  'header.message_metadata.correlation_id': 'served',
  'header.message_metadata.parent_message_id': 'carried',
  'header.message_metadata.created_at': 'carried',
  'header.message_metadata.expires_at': 'served',
  'header.message_metadata.priority': 'carried',
  'header.message_metadata.delivery_mode': 'served',
  'header.routing.event_type': 'carried',
  'header.routing.event_category': 'carried',
  'header.routing.source_module': 'carried',
  'header.routing.target_module': 'carried',
  'header.routing.routing_tags': 'carried',
  'header.payload.schema_version': 'carried',
  'header.payload.content_type': 'carried',
  'header.payload.encoding': 'carried',
  'header.payload.size_bytes': 'carried',
  'header.payload.checksum': 'carried',
  'header.quality_of_service.max_retries': 'refused',
  'header.quality_of_service.retry_delay': 'refused',
  'header.quality_of_service.acknowledgment_required': 'refused',
  'header.security.sender_identity': 'served',
  'header.security.access_level': 'carried',
  'header.observability.trace_id': 'served',
  'header.observability.span_id': 'served',
  action: 'served',
  'targets.nodes': 'served',
  'targets.groups': 'served',
  'targets.labels': 'served',
  'targets.exclude': 'served',
  'targets.allow_empty': 'served',
  params: 'served',
  request_id: 'served',
  reason: 'served',
  timeout: 'served',
  dry_run: 'served',
  transport: 'served',
  'rollout.batch_size': 'served',
  'rollout.max_parallel': 'served',
  'rollout.max_failures': 'served',
  'rollout.canary': 'served',
  acknowledge_risk: 'served',
  cancel_on_disconnect: 'served',
  on_locked: 'served',
  queue_timeout: 'served',
  max_retries: 'served',
  retry_delay: 'served',
};

const SAMPLE: Readonly<Record<string, unknown>> = {
  'header.quality_of_service.max_retries': 1,
  'header.quality_of_service.retry_delay': '1s',
  'header.quality_of_service.acknowledgment_required': true,
};

const camel = (name: string): string =>
  name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());

function fieldsOf(message: DescMessage, above = ''): string[] {
  const nested = (field: DescField): DescMessage | undefined =>
    field.fieldKind === 'message' && field.message.typeName.startsWith('rune.') ? field.message : undefined;
  return message.fields.flatMap((field) => {
    const path = above === '' ? field.name : `${above}.${field.name}`;
    const inner = nested(field);
    return inner === undefined ? [path] : fieldsOf(inner, path);
  });
}

function requestWith(path: string): RunRequest {
  const json = path
    .split('.')
    .reduceRight<unknown>((inner, name) => ({ [camel(name)]: inner }), SAMPLE[path]);
  return RunRequest.fromJSON(json);
}

describe('the fields of a request', () => {
  const files = fromBinary(
    FileDescriptorSetSchema,
    readFileSync(join(packageRoot, 'services', 'shared', 'gen', 'rune.binpb')),
  );
  const registry = createFileRegistry(files);
  const messageOf = (name: string): DescMessage =>
    registry.getMessage(name) ?? assert.fail(`no message ${name}`);

  it('each have an effect that is written down', () => {
    assert.deepEqual(fieldsOf(messageOf('rune.v1.RunRequest')).toSorted(), Object.keys(EFFECT).toSorted());
  });

  for (const other of ['PlanExecutionRequest', 'SubmitExecutionRequest']) {
    it(`are the same for ${other}, with the same numbers`, () => {
      const same = new Map(messageOf(`rune.v1.${other}`).fields.map(({ name, number }) => [name, number]));
      for (const { name, number } of messageOf('rune.v1.RunRequest').fields) {
        if (name !== 'cancel_on_disconnect') assert.equal(same.get(name), number, name);
      }
    });
  }

  it('of an event are the same for Run and WatchExecution, with the same numbers', () => {
    const [run, watch] = ['RunResponse', 'WatchExecutionResponse'].map((name) =>
      messageOf(`rune.v1.${name}`).fields.map((field) => [field.name, field.number]),
    );
    assert.deepEqual(watch, run);
  });

  it('of the header are listed in the documentation', () => {
    const page = readFileSync(join(packageRoot, 'docs', 'protocol.md'), 'utf8');
    for (const path of Object.keys(EFFECT).filter((name) => name.startsWith('header.'))) {
      const [, section, field] = path.split('.');
      assert.ok(page.includes(`${section}.${field}`) || page.includes(`${section}.*`), path);
    }
  });

  for (const path of Object.keys(EFFECT).filter((name) => EFFECT[name] === 'refused')) {
    it(`are refused by name where they are not served: ${path}`, () => {
      const request = requestWith(path);
      assert.throws(
        () => acceptHeader(request.header, { identity: 'test', nowMs: Date.now() }),
        (error) =>
          error instanceof RuneError &&
          error.name === 'FIELD_NOT_SUPPORTED' &&
          error.facts.field?.startsWith(path.split('.').slice(0, 2).join('.')) === true,
      );
    });
  }
});
