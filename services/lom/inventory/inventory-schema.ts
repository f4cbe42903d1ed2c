import { CONFIGURATIONS } from '../../shared/bundle/manifest-schema.js';
import { SCHEMA_DIALECT } from '../../shared/schema/schema-source.js';

const TRANSPORT = { enum: ['ssh', 'openssh', 'ssm', 'local'] };

/** What a node may have of its own and a group may give to its nodes. */
const CONNECTION = {
  user: { type: 'string' },
  port: { type: 'integer', minimum: 1, maximum: 65535 },
  credential: { type: 'string' },
  zone: { type: 'string' },
  transport: TRANSPORT,
  transports: { type: 'array', minItems: 1, maxItems: 4, uniqueItems: true, items: TRANSPORT },
  weak_algorithms: { type: 'boolean' },
  jump: { type: 'array', maxItems: 8, items: { type: 'string' } },
  run_as: { type: 'string' },
  become: { enum: ['sudo', 'doas'] },
  region: { type: 'string' },
  role_arn: { type: 'string' },
};

const LABELS = {
  type: 'object',
  maxProperties: 64,
  additionalProperties: { type: 'string', maxLength: 256 },
};

/** Shape of one node of an inventory. */
export const NODE_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  properties: {
    ...CONNECTION,
    address: { type: 'string' },
    lock_key: { type: 'string' },
    instance_id: { type: 'string' },
    host_key_fingerprints: { type: 'array', minItems: 1, maxItems: 20, items: { type: 'string' } },
    labels: LABELS,
    vars: { type: 'object' },
    configuration: CONFIGURATIONS,
    groups: { type: 'array', maxItems: 100, items: { type: 'string' } },
    maintenance: { type: 'boolean' },
  },
};

/** Shape of one group of an inventory. */
export const GROUP_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  properties: {
    nodes: { type: 'array', items: { type: 'string' } },
    labels: LABELS,
    vars: { type: 'object' },
    configuration: CONFIGURATIONS,
    defaults: { type: 'object', additionalProperties: false, properties: CONNECTION },
  },
};

/** Shape of a whole inventory file; nodes and groups are checked one by one. */
export const INVENTORY_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  properties: {
    nodes: { type: ['object', 'null'] },
    groups: { type: ['object', 'null'] },
  },
};
