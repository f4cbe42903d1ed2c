import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  followInventory,
  type FollowedInventory,
} from '../../../../services/lom/inventory-sources/follow-inventory.js';
import { readInventorySources } from '../../../../services/lom/inventory-sources/source-config.js';
import { createSchemaCompiler } from '../../../../services/shared/schema/schema.js';
import type { TestEc2Instance } from '../../../support/ec2/describe-instances.js';
import { startEc2Endpoint, type Ec2Endpoint } from '../../../support/ec2/ec2-endpoint.js';
import { recordingLogger } from '../../../support/recording-logger.js';
import { startSsmEndpoint } from '../../../support/ssm/ssm-endpoint.js';
import { makeTempDirectory, type TempDirectory } from '../../../support/temp-directory.js';

const WEB = 'i-0123456789abcdef0';
const DB = 'i-0123456789abcdef1';
const HYBRID = 'mi-0123456789abcdef2';
const ROLE = 'arn:aws:iam::210987654321:role/inventory';
const FOREIGN = 'arn:aws:iam::210987654321:role/foreign';
const INSTANCES: readonly TestEc2Instance[] = [
  {
    id: WEB,
    privateIp: '10.0.0.1',
    publicIp: '192.0.2.1',
    tags: { Name: 'web01', role: 'web', rune: 'yes' },
  },
  { id: DB, privateIp: '10.0.0.2', tags: { Name: 'db01', role: 'db', rune: 'yes' } },
  { id: 'i-0123456789abcdef2', privateIp: '10.0.0.3', tags: { Name: 'other' } },
  { id: 'i-0123456789abcdef3', state: 'terminated', tags: { Name: 'web01', rune: 'yes' } },
  { id: 'i-0123456789abcdef4', state: 'stopped', privateIp: '10.0.0.5', tags: { Name: 'off', rune: 'yes' } },
];
const RUNE = { filters: { 'tag:rune': 'yes' }, name: '{tag:Name}' };
const schemas = createSchemaCompiler();
const names = ({ inventory }: FollowedInventory): string[] => inventory.nodes.map(({ name }) => name);

describe('instances of AWS as an inventory source', () => {
  const environment = { ...process.env };
  const logged = recordingLogger();
  let aws: Ec2Endpoint;
  let directory: TempDirectory;
  const open: FollowedInventory[] = [];

  before(async () => {
    aws = await startEc2Endpoint({ granted: [ROLE], pageMax: 2 });
    Object.assign(process.env, aws.env, { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' });
    directory = await makeTempDirectory();
  });
  beforeEach(() => {
    aws.instances = INSTANCES;
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  after(async () => {
    for (const name of Object.keys(aws.env)) delete process.env[name];
    Object.assign(process.env, environment);
    await aws.stop();
    await directory.remove();
  });

  const follow = async (
    source: object,
    {
      kind = 'ec2',
      timeout = '20s',
      files = [],
      copies,
    }: { kind?: string; timeout?: string; files?: string[]; copies?: string } = {},
  ): Promise<FollowedInventory> => {
    const raw = { cloud: { [kind]: { region: aws.region, ...source }, timeout } };
    const followed = await followInventory({
      files,
      sources:
        readInventorySources(raw, (message, path = []) => assert.fail(`${path.join('.')}: ${message}`)) ?? [],
      filesRefreshMs: 0,
      copies,
      env: {},
      schemas,
      logger: logged.logger,
    });
    open.push(followed);
    followed.follow(() => undefined);
    return followed;
  };
  const problemOf = (followed: FollowedInventory): string => followed.statuses().at(-1)?.problem ?? '';

  it('are those that run and pass the filters, over all pages, with groups that no file defines', async () => {
    const followed = await follow({ ...RUNE, groups: ['{tag:role}', 'cloud'] });
    assert.deepEqual(names(followed), ['db01', 'web01']);
    const web = followed.inventory.get('web01');
    assert.deepEqual(
      [web.address, web.transports, web.groups, web.lockKey],
      ['10.0.0.1', ['ssh'], ['cloud', 'web'], WEB],
    );
    assert.deepEqual([...followed.inventory.groups.keys()], ['cloud', 'db', 'web']);
    aws.instances = Array.from({ length: 5 }, (_, index) => ({
      id: `i-0000000${index}`,
      privateIp: `10.1.0.${index}`,
      tags: { rune: 'yes' },
    }));
    const before = aws.calls.length;
    await followed.reload();
    assert.equal(names(followed).length, 5);
    assert.equal(aws.calls.length - before, 3);
    const note = followed.statuses()[0]?.notes[0] ?? '';
    assert.match(note, /nothing for \{tag:Name\}: i-00000000, /);
    const told = logged.lines.find(
      ({ message }) => message === 'an inventory source says what cannot be used',
    );
    assert.deepEqual([told?.['source'], told?.['what']], ['cloud', note]);
  });

  it('get from a group of a file what that gives to its nodes', async () => {
    await directory.write({
      'groups.yaml': 'groups: { db: { defaults: { user: dba, zone: eu } } }\n',
    });
    const followed = await follow(
      { ...RUNE, groups: ['{tag:role}'], transports: ['ssh', 'ssm'] },
      { files: [join(directory.path, 'groups.yaml')] },
    );
    const { user, zone, ssm } = followed.inventory.get('db01');
    assert.deepEqual([user, zone, ssm?.instanceId, ssm?.region], ['dba', 'eu', DB, aws.region]);
  });

  it('that are stopped are nodes where the filters ask for them; terminated ones never', async () => {
    const filters = { ...RUNE.filters, 'instance-state-name': ['running', 'stopped', 'terminated'] };
    assert.deepEqual(names(await follow({ ...RUNE, filters })), ['db01', 'off', 'web01']);
  });

  it('come and go with each refresh; tags with markup stay texts', async () => {
    const followed = await follow({ ...RUNE, labels: { note: '{tag:note}' } });
    const note = '</value><key>"&amp;\u00e9';
    aws.instances = [{ id: DB, privateIp: '10.0.0.9', tags: { Name: 'db01', rune: 'yes', note } }];
    await followed.reload();
    assert.deepEqual(names(followed), ['db01']);
    const { address, labels } = followed.inventory.get('db01');
    assert.deepEqual([address, labels], ['10.0.0.9', { note }]);
  });

  it('are asked for again when requests are throttled, and what was known stays when that goes on', async () => {
    const followed = await follow(RUNE);
    const readAtMs = followed.statuses()[0]?.readAtMs;
    aws.inject('throttled');
    aws.instances = INSTANCES.slice(0, 1);
    await followed.reload();
    assert.deepEqual([names(followed), problemOf(followed)], [['web01'], '']);
    aws.instances = INSTANCES;
    aws.inject('throttled', 3);
    await followed.reload();
    assert.equal(problemOf(followed), 'the API of EC2 throttled the requests (RequestLimitExceeded)');
    aws.inject('denied');
    await followed.reload();
    assert.equal(
      problemOf(followed),
      'the API of EC2 refused: UnauthorizedOperation, You are not authorized to perform this operation',
    );
    assert.deepEqual(names(followed), ['web01']);
    assert.ok((followed.statuses()[0]?.readAtMs ?? 0) >= (readAtMs ?? 0));
  });

  it('that cannot be read at the start count with their copy', async () => {
    const copies = join(directory.path, 'copies');
    const first = await follow(RUNE, { copies });
    await first.reload();
    aws.inject('denied');
    const second = await follow(RUNE, { copies });
    assert.deepEqual(names(second), ['db01', 'web01']);
    assert.match(problemOf(second), /UnauthorizedOperation/);
    aws.inject('denied');
    await assert.rejects(follow(RUNE), /cloud: the API of EC2 refused: UnauthorizedOperation/);
  });

  it('whose answer is late or broken, or whose service is away, are refused in words', async () => {
    aws.inject('stalled');
    await assert.rejects(follow(RUNE, { timeout: '1s' }), /the API of EC2 did not answer within 1 s/);
    aws.inject('garbled');
    await assert.rejects(follow(RUNE), /the API of EC2 cannot be understood: /);
    await assert.rejects(
      follow({ ...RUNE, endpoint: 'http://127.0.0.1:1' }),
      /the API of EC2 cannot be reached \(ECONNREFUSED\)/,
    );
  });

  it('of another account are asked for in a role, and refused without it', async () => {
    const followed = await follow({ ...RUNE, role_arn: ROLE });
    assert.deepEqual(names(followed), ['db01', 'web01']);
    assert.equal(aws.calls.at(-1)?.arn, 'arn:aws:sts::210987654321:assumed-role/inventory/rune-lom');
    await assert.rejects(
      follow({ ...RUNE, role_arn: FOREIGN }),
      /the API of EC2 .*AccessDenied.*not authorized to perform: sts:AssumeRole/,
    );
  });

  it('cannot be asked for without credentials, and with wrong ones are refused', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'wrong';
    await assert.rejects(follow(RUNE), /the API of EC2 refused: /);
    delete process.env['AWS_SECRET_ACCESS_KEY'];
    await assert.rejects(follow(RUNE), /the API of EC2 cannot be asked without credentials: /);
    Object.assign(process.env, aws.env);
  });

  it('managed by Systems Manager are nodes too, also those that are not of EC2', async () => {
    const ssm = await startSsmEndpoint({
      instances: {
        [WEB]: { tags: { rune: 'yes' } },
        [DB]: { tags: { rune: 'no' } },
        [HYBRID]: { tags: { rune: 'yes' }, name: 'rack-7' },
        ...Object.fromEntries(
          Array.from({ length: 55 }, (_, index) => [
            `mi-000000000000000${String(index).padStart(2, '0')}`,
            { tags: { batch: 'b' }, name: 'same' },
          ]),
        ),
      },
    });
    try {
      const chosen = { endpoint: ssm.url, name: '{name}', groups: ['managed'] };
      const followed = await follow({ ...chosen, filters: { 'tag:rune': 'yes' } }, { kind: 'ssm' });
      assert.deepEqual(names(followed), [WEB, 'rack-7']);
      const { transports, ssm: at, groups } = followed.inventory.get('rack-7');
      assert.deepEqual([transports, at?.instanceId, groups], [['ssm'], HYBRID, ['managed']]);
      const many = await follow({ ...chosen, filters: { 'tag:batch': 'b' } }, { kind: 'ssm' });
      assert.equal(names(many).length, 55);
      assert.match(many.statuses()[0]?.notes[0] ?? '', /another one has the same name: .* and 50 more/);
      ssm.faults.inject({ call: 'DescribeInstanceInformation', kind: 'denied' });
      await many.reload();
      assert.match(problemOf(many), /^the API of Systems Manager refused: AccessDeniedException, /);
      assert.equal(names(many).length, 55);
    } finally {
      await ssm.stop();
    }
  });
});
