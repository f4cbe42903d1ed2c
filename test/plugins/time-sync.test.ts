import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { runWithLibrary } from '../support/bash.js';
import { findProcesses } from '../support/processes.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { bpcsInput } from './bpcs-document.js';
import { itNamesMissingTools } from './missing-tools.js';
import {
  acceptsParams,
  errorOfAction,
  helpersOf,
  makeToolPath,
  runShippedAction,
  outputOfAction,
  scriptOf,
} from './shipped-action.js';

const TOOLS = ['date', 'head', 'timeout'];

// What the tools print, with the figures changed.
const CHRONY =
  'C0000201,192.0.2.1,3,1795357079.144214788,-0.012345678,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal';
const CHRONY_LOCAL =
  '7F7F0101,,5,1795357079.144214788,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal';
const CHRONY_NONE =
  '00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised';
const NTP = 'leap=00, stratum=2, refid=192.0.2.2, offset=-1.250';
const NTP_NONE = 'leap=11, stratum=16, refid=INIT, offset=0.0';
const SYSTEMD = (isSynchronised: string): string => `               Local time: Sun 2026-11-22 14:20:00 UTC
           Universal time: Sun 2026-11-22 14:20:00 UTC
System clock synchronized: ${isSynchronised}
              NTP service: active`;
const SYSTEMD_219 = `      Local time: Sun 2026-11-22 14:20:00 UTC
     NTP enabled: yes
NTP synchronized: yes
 RTC in local TZ: no`;
const TIMESYNC = `       Server: 192.0.2.3 (time.example.org)
 Poll interval: 34min 8s (min: 32s; max 34min 8s)
         Leap: normal
      Version: 4
      Stratum: 2
        Offset: +1.250ms
         Delay: 7.250ms`;

const print = (text: string): string => `#!/bin/sh\ncat <<'EOF'\n${text}\nEOF\n`;
const timedatectl = (status: string, timesync?: string): string =>
  `#!/bin/sh\nif [ "$1" = status ]; then cat <<'EOF'\n${status}\nEOF\n${
    timesync === undefined ? 'else exit 1' : `else cat <<'EOF'\n${timesync}\nEOF`
  }\nfi\n`;

describe('time-sync', () => {
  let directory: TempDirectory;

  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(() => directory.remove());

  /** What the action says where of the tools that know only these scripts are there. */
  async function sync(
    scripts: Readonly<Record<string, string>>,
    params: object = {},
  ): Promise<Record<string, unknown>> {
    const PATH = await makeToolPath(join(directory.path, 'tools'), [...TOOLS, 'cat', 'sleep', 'yes']);
    await directory.write(
      Object.fromEntries(Object.entries(scripts).map(([name, text]) => [`tools/${name}`, text])),
    );
    for (const name of Object.keys(scripts)) await chmod(join(directory.path, 'tools', name), 0o755);
    const {
      time,
      ahead_of_sender_seconds: _ahead,
      ...rest
    } = await outputOfAction('time-sync', params, {
      environment: { PATH },
    });
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
    return rest;
  }

  const good = { ok: true, verdict: 'synchronised', synchronised: true, notes: [] };
  const bad = {
    ok: false,
    verdict: 'not_synchronised',
    synchronised: false,
    offset_seconds: null,
    source: null,
    notes: [],
  };
  const from = (
    tool: string,
    source: string | null,
    stratum: number | null,
    offset: number | null,
  ): object => ({
    ...good,
    tool,
    source,
    stratum,
    offset_seconds: offset,
  });

  it('reads chrony', async () => {
    assert.deepEqual(await sync({ chronyc: print(CHRONY) }), from('chronyc', '192.0.2.1', 3, 0.012345));
  });

  it('takes a chrony that has no source, or only its own clock, for not synchronised', async () => {
    assert.deepEqual(await sync({ chronyc: print(CHRONY_NONE) }), { ...bad, tool: 'chronyc', stratum: 0 });
  });

  it('takes a chrony that follows its own clock for not synchronised', async () => {
    assert.deepEqual(await sync({ chronyc: print(CHRONY_LOCAL) }), { ...bad, tool: 'chronyc', stratum: 5 });
  });

  it('reads ntpd', async () => {
    assert.deepEqual(await sync({ ntpq: print(NTP) }), from('ntpq', '192.0.2.2', 2, 0.00125));
  });

  it('reads an ntpd that is not synchronised', async () => {
    assert.deepEqual(await sync({ ntpq: print(NTP_NONE) }), { ...bad, tool: 'ntpq', stratum: 16 });
  });

  it('reads systemd with its own daemon', async () => {
    assert.deepEqual(
      await sync({ timedatectl: timedatectl(SYSTEMD('yes'), TIMESYNC) }),
      from('timedatectl', '192.0.2.3 (time.example.org)', 2, 0.00125),
    );
  });

  it('reads systemd where another daemon sets the clock', async () => {
    assert.deepEqual(
      await sync({ timedatectl: timedatectl(SYSTEMD('yes')) }),
      from('timedatectl', null, null, null),
    );
  });

  it('reads systemd before version 239', async () => {
    assert.deepEqual(
      await sync({ timedatectl: timedatectl(SYSTEMD_219) }),
      from('timedatectl', null, null, null),
    );
  });

  it('reads a systemd that is not synchronised', async () => {
    const script = timedatectl(SYSTEMD('no'), TIMESYNC);
    assert.deepEqual(await sync({ timedatectl: script }), { ...bad, tool: 'timedatectl', stratum: null });
  });

  it('judges the offset', async () => {
    const far = await sync({ chronyc: print(CHRONY) }, { offset_max_ms: 12 });
    assert.deepEqual([far.ok, far.verdict, far.synchronised], [false, 'offset_too_large', true]);
  });

  it('goes on to the next tool where one has no daemon, and says so', async () => {
    const found = await sync({
      chronyc: '#!/bin/sh\necho "506 Cannot talk to daemon"\nexit 1\n',
      ntpq: '#!/bin/sh\necho "***Socket error; probably ntpd is not running" >&2\n',
      timedatectl: timedatectl(SYSTEMD('yes')),
    });
    assert.deepEqual([found.ok, found.tool], [true, 'timedatectl']);
    assert.deepEqual(found.notes, [
      'chronyc: 506 Cannot talk to daemon (exit status 1)',
      'ntpq: ***Socket error; probably ntpd is not running (exit status 0)',
    ]);
  });

  it('says unknown without any tool', async () => {
    assert.deepEqual(await sync({}), {
      ok: false,
      verdict: 'unknown',
      synchronised: null,
      offset_seconds: null,
      stratum: null,
      source: null,
      tool: null,
      notes: [],
    });
  });

  it('says unknown where the tools print what nobody understands, without end or with strange bytes', async () => {
    const found = await sync({
      chronyc: '#!/bin/sh\nexec yes "$(printf "a,\\377\\n\\"b")"\n',
      ntpq: print('leap=00, stratum=$(id), refid=`id`, offset=a[$(id)]'),
      timedatectl: print('System clock synchronized: perhaps'),
    });
    assert.deepEqual([found.verdict, (found.notes as string[]).length], ['unknown', 3]);
  });

  it('does not wait for a tool that hangs, and leaves nothing behind', async () => {
    const found = await sync({ chronyc: '#!/bin/sh\nexec sleep 61.9\n', ntpq: print(NTP) });
    assert.deepEqual(
      [found.tool, found.notes],
      ['ntpq', ['chronyc: no answer within 3 s (exit status 137)']],
    );
    assert.deepEqual(findProcesses('sleep\x0061.9'), []);
  });

  it('compares its clock with the time of the request', async () => {
    const asked = new Date(Date.now() - 3_600_000).toISOString();
    const input = bpcsInput().replace(/"created_at":"[^"]*"/, `"created_at":"${asked}"`);
    const { stdout } = await runWithLibrary(scriptOf('time-sync'), { input }, helpersOf('time-sync'));
    const { payload } = JSON.parse(stdout.toString()) as {
      payload: { output_data: { ahead_of_sender_seconds: number } };
    };
    assert.ok(Math.abs(payload.output_data.ahead_of_sender_seconds - 3600) < 60);
  });

  it('compares with nothing where the request has no time', async () => {
    const input = bpcsInput().replace(/"created_at":"[^"]*"/, '"created_at":"$(id)"');
    const { stdout } = await runWithLibrary(scriptOf('time-sync'), { input }, helpersOf('time-sync'));
    assert.ok(stdout.toString().includes('"ahead_of_sender_seconds":null'));
  });

  itNamesMissingTools(TOOLS, (PATH) => errorOfAction('time-sync', {}, { environment: { PATH } }));

  it('refuses a parameter that is none, by its schema and by itself', async () => {
    for (const params of [{ offset_max_ms: 0 }, { offset_max_ms: 'a[$(id)]' }, { offset_max_ms: 1.5 }]) {
      assert.equal(acceptsParams('time-sync', params), false);
      assert.equal((await errorOfAction('time-sync', params)).code, 1);
    }
  });

  it('answers a dry run with the same', async () => {
    const { output } = await runShippedAction('time-sync', { dryRun: true });
    assert.equal(typeof output['verdict'], 'string');
  });
});
