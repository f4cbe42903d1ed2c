import assert from 'node:assert/strict';
import { GetNodeResponse, ListActionsResponse } from '../../services/shared/gen/rune/v1/lom.js';
import { runeWorld } from '../support/rune-world.js';
import { TAIL_LOG } from '../support/scripted-lom.js';
import { failure } from './events.js';

describe('the catalogue', () => {
  const { lomOf, rune } = runeWorld();

  it('rune actions lists all pages', async () => {
    const lom = await lomOf(() => ({
      listActions: async ({ pageToken }) =>
        ListActionsResponse.fromPartial(
          pageToken === ''
            ? { actions: [TAIL_LOG], nextPageToken: 'more' }
            : { actions: [{ ...TAIL_LOG, action: 'uptime' }] },
        ),
    }));
    const pretty = await rune(['actions', '--server', lom.address]);
    assert.equal(pretty.code, 0);
    assert.equal(
      pretty.out,
      'ACTION    VERSION  RISK       DESCRIPTION\ntail-log  1.2.0    read only  The last lines of a unit.\nuptime    1.2.0    read only  The last lines of a unit.\n',
    );
    const json = await rune(['actions', 'list', '-o', 'json', '--server', lom.address]);
    assert.deepEqual(
      JSON.parse(json.out).actions.map(({ action }: { action: string }) => action),
      ['tail-log', 'uptime'],
    );
    const ndjson = await rune(['actions', '-o', 'ndjson', '--server', lom.address]);
    assert.equal(ndjson.out.trimEnd().split('\n').length, 2);
  });

  it('rune actions show explains an action with a command to copy', async () => {
    const lom = await lomOf(() => ({}));
    const { code, out } = await rune(['actions', 'show', 'tail-log', '--server', lom.address]);
    assert.equal(code, 0);
    assert.match(out, /^tail-log 1\.2\.0: The last lines of a unit\.$/m);
    assert.match(out, /^ {2}unit +string +required$/m);
    assert.match(out, /^ {2}password +string +secret$/m);
    assert.match(out, /^ {2}rune run tail-log --node NODE --param unit=nginx --param lines:=10$/m);
  });

  it('rune nodes lists and shows nodes', async () => {
    const lom = await lomOf(() => ({}));
    const list = await rune(['nodes', '--server', lom.address]);
    assert.match(list.out, /^NODE +TRANSPORTS +ADDRESS +USER +GROUPS +LABELS +MAINTENANCE$/m);
    assert.match(list.out, /^web01 +ssh +192\.0\.2\.1:22 +ops +web +role=web$/m);
    const show = await rune(['nodes', 'show', 'web01', '--server', lom.address]);
    assert.match(show.out, /^web01\n {2}address: +192\.0\.2\.1:22$/m);
  });

  it('rune nodes show --probe ends with 6 where the node cannot be reached', async () => {
    const lom = await lomOf(() => ({
      getNode: async ({ probe }) =>
        GetNodeResponse.fromPartial({
          probe: probe
            ? {
                hostKeyFingerprint: 'SHA256:abc',
                hostKeyType: 'ssh-ed25519',
                error: failure('HOST_KEY_CHANGED', 'Another key.', 'web01'),
              }
            : undefined,
        }),
    }));
    const { code, out } = await rune(['nodes', 'show', 'web01', '--probe', '--server', lom.address]);
    assert.equal(code, 6);
    assert.match(out, /host key: ssh-ed25519 SHA256:abc \(REFUSED\)/);
    assert.match(out, /HOST_KEY_CHANGED: Another key\./);
  });
});
