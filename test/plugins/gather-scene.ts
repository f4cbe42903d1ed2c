import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { runShippedAction, type ActionEnding } from './shipped-action.js';

/** A file or a unit that was to be read. */
export interface GatheredSource {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly size_bytes: number | null;
  readonly modified: string | null;
  readonly lines: number;
  readonly bytes: number;
  readonly offset_bytes: number | null;
  readonly truncated: boolean;
  readonly last_lines: readonly string[];
  readonly error: string | null;
}

/** What gather-logs answers. */
export interface Gathered {
  readonly message: string;
  readonly sources: readonly GatheredSource[];
  readonly sources_left_out: number;
  readonly text_bytes: number;
  readonly truncated: boolean;
  readonly compressed: boolean;
  readonly archive?: string;
  readonly archive_plain?: string;
}

/** How gather-logs is run, where the usual will not do. */
export interface GatherSetting {
  readonly allowed?: readonly string[];
  readonly path?: string;
  readonly uid?: number;
}

/** A directory with logs that gather-logs may read. */
export interface GatherScene {
  readonly directory: Pick<TempDirectory, 'path' | 'write'>;
  readonly logs: string;
  ending(params: object, setting?: GatherSetting): Promise<ActionEnding>;
  /** Runs it without an error. */
  gather(params: object, setting?: GatherSetting): Promise<Gathered>;
  /** Why a file is refused beside one that is not. */
  refusal(path: string, setting?: GatherSetting): Promise<string | null | undefined>;
}

/** The text of the archive. */
export const textOf = ({ archive, archive_plain: plain }: Gathered): Buffer =>
  archive === undefined ? Buffer.from(plain ?? '', 'base64') : gunzipSync(Buffer.from(archive, 'base64'));

/** Makes the directory for each test. To be called in a `describe`. */
export function gatherScene(): GatherScene {
  let directory: TempDirectory;
  let logs: string;
  beforeEach(async () => {
    directory = await makeTempDirectory();
    logs = join(directory.path, 'logs');
    await mkdir(logs);
  });
  afterEach(() => directory.remove());

  const ending: GatherScene['ending'] = (params, { allowed = [logs], path, uid } = {}) =>
    runShippedAction('gather-logs', {
      params,
      configuration: { paths: allowed },
      ...(path === undefined ? {} : { environment: { PATH: path } }),
      ...(uid === undefined ? {} : { uid }),
    });
  const gather: GatherScene['gather'] = async (params, setting) => {
    const { error, output, stderr } = await ending(params, setting);
    assert.equal(error, null, JSON.stringify(error));
    assert.equal(stderr, '');
    return output as unknown as Gathered;
  };
  return {
    get directory() {
      return directory;
    },
    get logs() {
      return logs;
    },
    ending,
    gather,
    async refusal(path, setting) {
      await writeFile(join(logs, 'good.log'), 'good\n');
      const gathered = await gather({ paths: [path, join(logs, 'good.log')] }, setting);
      assert.deepEqual(
        gathered.sources.map(({ state }) => state),
        ['failed', 'taken'],
      );
      assert.equal(textOf(gathered).toString(), `==> ${join(logs, 'good.log')} <==\ngood\n`);
      return gathered.sources[0]?.error;
    },
  };
}
