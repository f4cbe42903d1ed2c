import assert from 'node:assert/strict';
import { ActionCapability, PluginProtocol } from '../../services/shared/gen/rune/v1/mrs.js';
import { renderAction } from '../../services/cli/catalogue/actions-command.js';

const line = (action: Parameters<typeof ActionCapability.fromPartial>[0], name: string): string | undefined =>
  renderAction(ActionCapability.fromPartial({ action: 'act', version: '1.0.0', ...action }), 100).find(
    (text) => text.trimStart().startsWith(`${name}:`),
  );

describe('an action shown to a person', () => {
  const protocols: [protocol: PluginProtocol, words: string][] = [
    [PluginProtocol.UNSPECIFIED, 'bpcs'],
    [PluginProtocol.BPCS, 'bpcs'],
    [PluginProtocol.RAW, 'raw: any program, whose output is the result'],
    [PluginProtocol.NAGIOS, 'nagios: a monitoring plugin'],
    [PluginProtocol.BOLT, 'bolt: a Puppet Bolt task'],
    [9 as PluginProtocol, 'one that this release does not know'],
  ];
  for (const [protocol, words] of protocols) {
    it(`has its protocol in words: ${words} (${protocol})`, () => {
      assert.equal(line({ protocol }, 'protocol')?.split(/: +/).slice(1).join(': '), words);
    });
  }

  it('says how many of its runs may be under way at one time, and nothing where that is any number', () => {
    assert.match(line({ maxConcurrent: 5 }, 'at one time') ?? '', /: +5 at most$/);
    assert.equal(line({}, 'at one time'), undefined);
  });

  it('says that it runs in a scope of systemd, and nothing where it does not', () => {
    assert.match(
      line({ systemdScope: true }, 'runs in') ?? '',
      /: +a scope of systemd, where the node gives one$/,
    );
    assert.equal(line({}, 'runs in'), undefined);
  });

  it('has the types of its fields in words, those of lists and behind references too', () => {
    const inputSchema = JSON.stringify({
      $defs: {
        disks: { type: 'array', items: { type: 'object' } },
        tree: { anyOf: [{ $ref: '#/$defs/tree' }] },
      },
      properties: {
        paths: { type: 'array', items: { type: 'string' } },
        disks: { $ref: '#/$defs/disks' },
        tree: { $ref: '#/$defs/tree' },
        none: { $ref: '#/$defs/none' },
        size: { anyOf: [{ type: 'null' }, { type: 'integer' }] },
        things: { type: 'array' },
      },
    });
    const text = renderAction(ActionCapability.fromPartial({ action: 'act', inputSchema }), 200).join('\n');
    for (const row of [
      /paths +list of string/,
      /disks +list of object/,
      /tree +any/,
      /none +any/,
      /size +null or integer/,
      /things +array/,
    ]) {
      assert.match(text, row);
    }
  });

  it('names what it needs on the node, and says nothing where it needs nothing', () => {
    const commands = ['check_load'];
    const os = [
      { id: 'debian', versionMin: '11' },
      { id: 'rhel', versionMin: '' },
    ];
    assert.match(
      line({ requires: { commands, os } }, 'needs on the node') ?? '',
      /: *check_load, debian 11 or newer, or rhel$/,
    );
    assert.equal(line({ requires: { commands: [], os: [] } }, 'needs on the node'), undefined);
  });
});
