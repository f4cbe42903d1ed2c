import type { Link } from '../../support/links.js';
import { startSsmEndpoint, type SsmEndpoint } from '../../support/ssm/ssm-endpoint.js';
import { describeCarrying } from './carrying-contract.js';
import { describeEndings } from './ending-contract.js';
import { describeRunning } from './running-contract.js';

const INSTANCES = Array.from({ length: 8 }, (_, index) => `i-0123456789abcdef${index}`);
const LATE = 'output comes only when the command has ended';
const NO_LEASE = 'there is no lease: the plugin goes on without its mediator';

describe('a node over ssm', () => {
  const environment = { ...process.env };
  let aws: SsmEndpoint;
  let link: Link;
  before(async () => {
    aws = await startSsmEndpoint({ instances: Object.fromEntries(INSTANCES.map((id) => [id, {}])) });
    Object.assign(process.env, aws.env);
    link = { kind: 'ssm', url: aws.url, region: aws.region, instanceIds: INSTANCES };
  });
  after(async () => {
    for (const name of Object.keys(aws.env)) delete process.env[name];
    Object.assign(process.env, environment);
    await aws.stop();
  });

  describe('carrying', () =>
    describeCarrying(() => link, {
      'passes output on while the plugin runs, whole lines with their newline': LATE,
      'gives 100 MB on as they are: no newline, every byte, NUL too': 'an agent keeps 24,000 characters',
      'holds the plugin back while a sink is not ready, and loses nothing': LATE,
    }));
  describe('running', () => describeRunning(() => link));
  describe('ending', () =>
    describeEndings(() => link, {
      'ends everything of every hostile plugin when the link is cut': NO_LEASE,
      'ends everything when the mediator is frozen, a flood of output too, and tells it afterwards': NO_LEASE,
      'prints in the middle of a line when it is stopped, loses no byte of it': LATE,
      'confirms a cancel although nobody reads the output': LATE,
    }));
});
