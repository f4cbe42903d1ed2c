import assert from 'node:assert/strict';
import { pinHostKeys } from '../../services/cli/trust/pin-host-keys.js';
import { RuneError } from '../../services/shared/errors.js';

describe('pinning host keys in an inventory file', () => {
  const pin = (text: string) => pinHostKeys(text, 'web01', ['SHA256:a/+', 'SHA256:b']);
  const PINS = 'host_key_fingerprints: [SHA256:a/+, SHA256:b]';

  const CASES: [string, string, string, number][] = [
    [
      'puts them in front of the other keys of a node',
      '# our nodes\nnodes:\n  db01: {}\n\n  web01:\n    # the old one\n    address:   10.0.0.1   # rack 4\n    user: deploy\n',
      `# our nodes\nnodes:\n  db01: {}\n\n  web01:\n    # the old one\n    ${PINS}\n    address:   10.0.0.1   # rack 4\n    user: deploy\n`,
      7,
    ],
    [
      'replaces a list of several lines',
      'nodes:\n    web01:\n        host_key_fingerprints:\n            - SHA256:old\n            - SHA256:older\n        user: x\n',
      `nodes:\n    web01:\n        ${PINS}\n        user: x\n`,
      3,
    ],
    [
      'replaces a list in one line, and keeps the comment behind it',
      'nodes:\n  web01:\n    user: x\n    host_key_fingerprints: [SHA256:old] # since May\ngroups: {}\n',
      `nodes:\n  web01:\n    user: x\n    ${PINS} # since May\ngroups: {}\n`,
      4,
    ],
    ['takes a node in one line', 'nodes: {web01: {user: x}}\n', `nodes: {web01: { ${PINS},user: x}}\n`, 1],
    ['takes a node of which nothing is known', 'nodes: {web01: {}}', `nodes: {web01: { ${PINS} }}`, 1],
    [
      'takes a node without an entry',
      'nodes:\n  web01:\n  db01:\n',
      `nodes:\n  web01: { ${PINS} }\n  db01:\n`,
      2,
    ],
    [
      'takes a node without an entry and with a comment',
      'nodes:\n  web01: # soon\n  db01:\n',
      `nodes:\n  web01: { ${PINS} } # soon\n  db01:\n`,
      2,
    ],
    [
      'leaves anchors, merge keys, quotes and line ends alone',
      "x: &a {user: 'x'}\r\nnodes:\r\n  web01:\r\n    <<: *a\r\n    port: 0x16\r\n",
      `x: &a {user: 'x'}\r\nnodes:\r\n  web01:\r\n    ${PINS}\r\n    <<: *a\r\n    port: 0x16\r\n`,
      4,
    ],
    ['takes a quoted name', 'nodes:\n  "web01": {user: x}', `nodes:\n  "web01": { ${PINS},user: x}`, 2],
  ];
  for (const [what, before, after, line] of CASES) {
    it(what, () => {
      const pinned = pin(before);
      assert.equal(pinned.text, after);
      assert.equal(pinned.line, line);
      // Once more changes nothing.
      assert.equal(pin(pinned.text).text, after);
    });
  }

  const REFUSED: [string, string, RegExp][] = [
    ['a file without the node', 'nodes: {web1: {}}', /it defines no node "web01"/],
    ['a file without nodes', 'groups: {}', /it defines no node/],
    ['an empty file', '', /it defines no node/],
    ['broken YAML', 'nodes:\n  web01: [', /line 2: /],
    [
      'a node that is an alias of another',
      'nodes:\n  db01: &a {user: x}\n  web01: *a\n',
      /by hand: add host_key_fingerprints: \[SHA256:a/,
    ],
    ['a node that is a text', 'nodes: {web01: yes please}', /by hand/],
    ['a key that is written with a question mark', 'nodes:\n  web01:\n    ? user\n    : x\n', /by hand/],
  ];
  for (const [what, text, message] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => pin(text),
        (error) =>
          error instanceof RuneError && error.name === 'COMMAND_INVALID' && message.test(error.message),
      );
    });
  }
});
