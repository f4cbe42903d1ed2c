import assert from 'node:assert/strict';
import type { RuneError } from '../../../services/shared/errors.js';
import { Targets } from '../../../services/shared/gen/rune/v1/lom.js';
import { resolveTargets } from '../../../services/lom/inventory/targets.js';
import { inventoryOf } from '../../support/inventory-of.js';
import { thrownBy } from '../../support/thrown-by.js';

const inventory = inventoryOf(`
nodes:
  web02: {labels: {role: web, tier: one}}
  web01: {labels: {role: web, tier: two}}
  db01: {labels: {role: db, tier: one}}
  mail: {}
groups:
  all: {nodes: [web01, web02, db01, mail], defaults: {user: x}}
  web: {nodes: [web01, web02]}
  empty: {}
`);

const targets = (fields: Partial<Targets>): Targets => ({ ...Targets.fromJSON({}), ...fields });
const names = (fields: Partial<Targets>): string[] =>
  resolveTargets(targets(fields), inventory).map((node) => node.name);

const refusal = (fields: Partial<Targets> | undefined): RuneError =>
  thrownBy(() => resolveTargets(fields === undefined ? undefined : targets(fields), inventory));

describe('targets', () => {
  const cases: [title: string, fields: Partial<Targets>, expected: string[]][] = [
    ['a node', { nodes: ['web01'] }, ['web01']],
    ['nodes, in the order of their names', { nodes: ['web02', 'db01', 'web01'] }, ['db01', 'web01', 'web02']],
    ['a node named twice, once', { nodes: ['db01', 'db01'] }, ['db01']],
    ['a group', { groups: ['web'] }, ['web01', 'web02']],
    ['a label', { labels: { tier: 'one' } }, ['db01', 'web02']],
    ['nodes that carry all labels', { labels: { tier: 'one', role: 'web' } }, ['web02']],
    [
      'everything that any of them selects',
      { nodes: ['mail'], groups: ['web'], labels: { role: 'db' } },
      ['db01', 'mail', 'web01', 'web02'],
    ],
    ['without an excluded node', { groups: ['all'], exclude: ['mail'] }, ['db01', 'web01', 'web02']],
    ['without an excluded group', { groups: ['all'], exclude: ['web'] }, ['db01', 'mail']],
    ['without what is excluded and named', { nodes: ['web01', 'db01'], exclude: ['web01'] }, ['db01']],
    ['without what would not have been there', { nodes: ['db01'], exclude: ['web', 'empty'] }, ['db01']],
    ['nothing, where that is allowed', { groups: ['empty'], allowEmpty: true }, []],
    [
      'nothing after exclusion, where that is allowed',
      { nodes: ['mail'], exclude: ['mail'], allowEmpty: true },
      [],
    ],
  ];
  for (const [title, fields, expected] of cases)
    it(`select ${title}`, () => assert.deepEqual(names(fields), expected));

  for (const fields of [undefined, {}, { exclude: ['mail'] }, { allowEmpty: true }]) {
    it(`are missing in ${JSON.stringify(fields)}`, () => {
      const error = refusal(fields);
      assert.equal(error.name, 'FIELD_MISSING');
      assert.equal(error.facts.field, 'targets');
    });
  }

  for (const fields of [
    { groups: ['empty'] },
    { labels: { role: 'none' } },
    { labels: { constructor: 'x' } },
    { nodes: ['mail'], exclude: ['all'] },
  ]) {
    it(`match nothing in ${JSON.stringify(fields)}`, () =>
      assert.equal(refusal(fields).name, 'NO_NODES_MATCHED'));
  }

  const unknown: [fields: Partial<Targets>, name: string, message: string][] = [
    [{ nodes: ['wbe01'] }, 'NODE_NOT_FOUND', 'The inventory has no node "wbe01"; did you mean "web01"?'],
    [
      { nodes: ['web01', 'x', 'y'] },
      'NODE_NOT_FOUND',
      'The inventory has no node "x", nor 1 more of the request.',
    ],
    [{ nodes: ['web'] }, 'NODE_NOT_FOUND', 'The inventory has no node "web".'],
    [{ groups: ['wbe'] }, 'GROUP_NOT_FOUND', 'The inventory has no group "wbe"; did you mean "web"?'],
    [{ groups: ['web01'] }, 'GROUP_NOT_FOUND', 'The inventory has no group "web01"; did you mean "web"?'],
    [
      { groups: ['all'], exclude: ['mial'] },
      'NODE_NOT_FOUND',
      'The inventory has no node or group "mial"; did you mean "mail"?',
    ],
    [{ nodes: ['WEB01'] }, 'NODE_NOT_FOUND', 'The inventory has no node "WEB01"; did you mean "web01"?'],
    [{ nodes: ['-oProxyCommand=id'] }, 'NODE_NOT_FOUND', 'The inventory has no node "-oProxyCommand=id".'],
    [{ nodes: ['\u001b[2J\n'] }, 'NODE_NOT_FOUND', 'The inventory has no node "\\u001b[2J\\n".'],
    [{ nodes: ['x'], allowEmpty: true }, 'NODE_NOT_FOUND', 'The inventory has no node "x".'],
  ];
  for (const [fields, name, message] of unknown) {
    it(`name what is not there in ${JSON.stringify(fields)}`, () => {
      const error = refusal(fields);
      assert.equal(error.name, name);
      assert.equal(error.message, message);
    });
  }

  it('list up to 20 unknown names with their places', () => {
    const { validationErrors = [] } = refusal({
      nodes: ['web01', ...Array.from({ length: 30 }, (_, index) => `missing-${index}`)],
    }).facts;
    assert.equal(validationErrors.length, 20);
    assert.deepEqual(validationErrors[0], {
      field: 'targets.nodes[1]',
      description: '"missing-0" is not in the inventory',
      reason: 'NODE_NOT_FOUND',
    });
  });

  it('hold at most 10,000 names together', () => {
    const many = (count: number): string[] => Array.from({ length: count }, () => 'web01');
    assert.deepEqual(names({ nodes: many(9_998), groups: ['web'], exclude: ['mail'] }), ['web01', 'web02']);
    const error = refusal({ nodes: many(100_000), exclude: ['mail'] });
    assert.equal(error.name, 'FIELD_OUT_OF_RANGE');
    assert.equal(error.facts.expectedFormat, 'at most 10000 names');
  });
});
