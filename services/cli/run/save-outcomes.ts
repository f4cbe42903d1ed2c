import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { RuneError } from '../../shared/errors.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import { type LogLines, Outcome, type Result, RunState } from '../../shared/gen/rune/v1/run.js';
import { reasonOf } from '../read-bounded.js';
import { formatSize } from '../render/format-size.js';
import { contentFileName, isContentFileName } from './content-file-name.js';
import { type Content, decodeBase64, mapContent } from './map-content.js';
import type { OutputSchema } from './output-schema.js';
import { resultValue } from './result-value.js';

/** Node names that are also safe as one part of a path: no separator, no leading dot or dash. */
const SAFE_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253})$/;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const NODES_TOLD_MAX = 10;
/** Strings of base64 in one result that become files, and the length of each. A result is far smaller by default. */
const CONTENT_FILES_MAX = 32;
const CONTENT_CHARS_MAX = 16 * 1024 * 1024;

/** Writes what each node answered below a directory. A fault is told and remembered, and never stops the execution. */
export interface Saver {
  event(event: RunResponse): Promise<void>;
  /** Whether something could not be written. */
  failed(): boolean;
  /** Closes what is still open. */
  close(): Promise<void>;
}

const FILES = { result: 'result.json', log: 'stderr.log', outcome: 'outcome.json' } as const;
const OWN_NAMES: ReadonlySet<string> = new Set(Object.values(FILES));

/**
 * Makes the directory and those above it that are missing, level by level: the recursive mkdir of Node never returns where a
 * file system such as procfs answers "no such file" to every attempt.
 */
async function makeDirectories(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (found !== undefined) {
    if (!found.isDirectory()) throw new Error(`${path} is not a directory`);
    return;
  }
  await makeDirectories(dirname(path));
  await mkdir(path, { mode: DIRECTORY_MODE }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/** A directory of ours: made here, or one that is there already, is no link and belongs to this user. */
async function ownDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: DIRECTORY_MODE }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory()) throw new Error(`${path} is not a directory`);
  if (process.getuid !== undefined && found.uid !== process.getuid())
    throw new Error(`${path} belongs to another user`);
}

/** Puts the file in place at once, replacing an older one, never following a link. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  const file = await open(fresh, NEW_FILE, FILE_MODE);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
  await rename(fresh, path);
}

function logBytes({ lines, droppedBytes }: LogLines): Buffer {
  const dropped = droppedBytes > 0 ? [Buffer.from(`[${droppedBytes} bytes of log dropped]\n`)] : [];
  const parts = lines.flatMap(({ content, truncated }) => [
    content?.$case === 'raw' ? content.value : Buffer.from(content?.value ?? ''),
    Buffer.from(truncated ? '' : '\n'),
  ]);
  return Buffer.concat([...dropped, ...parts]);
}

/**
 * Writes each string of base64 in the result to a file of its own. The node is not trusted: the names come from the schema, and a
 * string that is too long or no base64 is left to result.json. Throws an Error that names all that were not written.
 */
async function saveContent(directory: string, result: Result, outputSchema: OutputSchema): Promise<void> {
  const schema = await outputSchema();
  const contents: Content[] = [];
  mapContent(schema, resultValue(result), (content) => {
    contents.push(content);
    return content.text;
  });
  const written = new Set<string>();
  const faults: string[] = [];
  for (const content of contents) {
    const { path, text } = content;
    const name = contentFileName(content);
    const where = path.join('.');
    if (written.size === CONTENT_FILES_MAX || written.has(name)) {
      faults.push(`${where} has no file of its own, there are too many or one has its name`);
      continue;
    }
    const bytes = text.length > CONTENT_CHARS_MAX ? undefined : decodeBase64(text);
    if (bytes === undefined) {
      const size = formatSize(text.length);
      faults.push(
        `${where}, ${size}, is ${text.length > CONTENT_CHARS_MAX ? 'too long' : 'not valid base64'}`,
      );
      continue;
    }
    written.add(name);
    await writeWhole(join(directory, name), bytes);
  }
  if (faults.length === 0) return;
  const [first] = faults;
  const more = faults.length > 1 ? `, and ${faults.length - 1} more` : '';
  throw new Error(`${first}${more}; result.json has it as it came`);
}

interface Place {
  readonly directory: string;
  log?: FileHandle;
}

/**
 * Makes the saver and its directory. Memory and open files grow with the runs in flight only. What an earlier execution left
 * for a node is removed when the node's run begins. Throws COMMAND_INVALID if the directory cannot be used.
 */
export async function createSaver(
  root: string,
  outputSchema: OutputSchema,
  tell: (text: string) => Promise<void>,
): Promise<Saver> {
  await makeDirectories(resolve(root)).catch((error: NodeJS.ErrnoException) => {
    throw new RuneError('COMMAND_INVALID', `--save ${root}: ${reasonOf(error)}.`, {}, { cause: error });
  });
  const places = new Map<string, Place>();
  const told = new Set<string>();
  let failed = false;

  async function placeOf(node: string): Promise<Place> {
    const known = places.get(node);
    if (known !== undefined) return known;
    if (!SAFE_NAME.test(node)) throw new Error('the name of the node is not safe as the name of a directory');
    const directory = join(root, node);
    await ownDirectory(directory);
    for (const name of await readdir(directory)) {
      if (OWN_NAMES.has(name) || isContentFileName(name)) await rm(join(directory, name), { force: true });
    }
    const place: Place = { directory };
    places.set(node, place);
    return place;
  }

  async function saveLog(node: string, lines: LogLines): Promise<void> {
    const place = await placeOf(node);
    place.log ??= await open(join(place.directory, FILES.log), NEW_FILE, FILE_MODE);
    await place.log.writeFile(logBytes(lines));
  }

  async function saveOutcome(node: string, outcome: Outcome): Promise<void> {
    const place = await placeOf(node);
    places.delete(node);
    await place.log?.close();
    const result = outcome.result?.notKeptBytes === 0 ? outcome.result : undefined;
    if (result !== undefined) {
      const json = result.outputJson.length > 0 ? result.outputJson : JSON.stringify(result.output ?? {});
      await writeWhole(join(place.directory, FILES.result), json);
    }
    await writeWhole(
      join(place.directory, FILES.outcome),
      `${JSON.stringify(Outcome.toJSON(outcome), null, 2)}\n`,
    );
    if (result !== undefined) await saveContent(place.directory, result, outputSchema);
    else if (outcome.result !== undefined) throw new Error('the service has not kept its result');
  }

  async function guarded(node: string, save: () => Promise<void>): Promise<void> {
    try {
      await save();
    } catch (error) {
      failed = true;
      if (told.has(node) || told.size >= NODES_TOLD_MAX) return;
      told.add(node);
      const reason = error instanceof Error ? reasonOf(error) : String(error);
      await tell(`not saved for node ${node}: ${reason}`);
    }
  }

  return {
    async event({ node, event }) {
      if (event?.$case === 'log') await guarded(node, () => saveLog(node, event.value));
      else if (event?.$case === 'logTruncated')
        await guarded(node, () => saveLog(node, { lines: [], droppedBytes: event.value.droppedBytes }));
      else if (event?.$case === 'outcome') await guarded(node, () => saveOutcome(node, event.value));
      else if (event?.$case === 'state' && event.value === RunState.RUNNING) {
        await guarded(node, async () => void (await placeOf(node)));
      }
    },
    failed: () => failed,
    async close() {
      for (const { log } of places.values()) await log?.close();
      places.clear();
    },
  };
}
