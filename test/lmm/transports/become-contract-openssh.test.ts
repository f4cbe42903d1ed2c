import { becomeLink } from './become-link.js';
import { describeEndings } from './ending-contract.js';

// What a plugin finds in its process, and what of its bytes comes through, is tried over ssh with sudo, and over openssh without.
describe('a node over openssh, as another user by sudo', () => {
  const getLink = becomeLink('openssh');

  describe('ending', () => describeEndings(getLink));
});
