import { becomeLink } from './become-link.js';
import { describeCarrying } from './carrying-contract.js';
import { describeEndings } from './ending-contract.js';
import { describeRunning } from './running-contract.js';

describe('a node over ssh, as another user by sudo', () => {
  const getLink = becomeLink('ssh');

  describe('carrying', () => describeCarrying(getLink));
  describe('running', () => describeRunning(getLink));
  describe('ending', () => describeEndings(getLink));
});
