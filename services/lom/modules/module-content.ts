import { RuneError } from '../../shared/errors.js';
import { actionDigest, sha256 } from '../../shared/bundle/action-digest.js';
import { readBundle, type Bundle } from '../../shared/bundle/bundle.js';
import type { BundleChecks } from '../../shared/bundle/bundle-files.js';
import { FILE_PATH, FILE_PATH_RULE } from '../../shared/bundle/file-rules.js';
import { createFileFaults } from '../../shared/files/file-faults.js';
import type { ModuleContent } from '../../shared/gen/rune/v1/registry.js';
import { contentError } from '../actions/content-error.js';
import { createModuleFaults } from './module-faults.js';

/** Files of one bundle, and their bytes together: they travel in one message. */
const FILES_MAX = 256;
const CONTENT_BYTES_MAX = 3 * 1024 * 1024;

/** Checks the files of a bundle as files. Throws FIELD_MISSING, FIELD_MALFORMED, FIELD_OUT_OF_RANGE or CHECKSUM_MISMATCH. */
export function checkContent({ files }: ModuleContent): void {
  const faults = createModuleFaults();
  faults.check(files.length > 0, 'FIELD_MISSING', 'content.files', 'must hold bundle.yaml and what it names');
  const few = files.length <= FILES_MAX;
  faults.check(few, 'FIELD_OUT_OF_RANGE', 'content.files', `may have at most ${FILES_MAX} items`);
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  const rule = `may have at most ${CONTENT_BYTES_MAX} bytes together`;
  faults.check(bytes <= CONTENT_BYTES_MAX, 'FIELD_OUT_OF_RANGE', 'content.files', rule);
  const paths = new Set<string>();
  for (const [index, file] of files.slice(0, FILES_MAX).entries()) {
    const field = `content.files[${index}]`;
    faults.check(FILE_PATH.test(file.path), 'FIELD_MALFORMED', `${field}.path`, FILE_PATH_RULE);
    faults.check(!paths.has(file.path), 'FIELD_OUT_OF_RANGE', `${field}.path`, 'stands there twice');
    paths.add(file.path);
    const isSame = file.sha256 === '' || file.sha256 === sha256(Buffer.from(file.content));
    faults.check(isSame, 'CHECKSUM_MISMATCH', `${field}.sha256`, 'is not that of its content');
  }
  faults.throwIfAny();
}

/** Names exactly these files, as `sha256sum FILE… | sha256sum` in their directory. */
export function contentDigest({ files }: ModuleContent): string {
  return actionDigest(files.map(({ path, content }) => ({ path, bytes: Buffer.from(content) })));
}

/** Reads a bundle from the files that were sent, as one is read from a directory. Throws the refusals of MRS. */
export async function readContent(
  content: ModuleContent,
  name: string,
  checks: Omit<BundleChecks, 'faults'>,
): Promise<Bundle> {
  const files = new Map(content.files.map((file) => [file.path, Buffer.from(file.content)]));
  const faults = createFileFaults();
  const source = {
    name,
    async read(path: string, bytesMax: number) {
      const bytes = files.get(path);
      if (bytes === undefined) return { refusal: 'was not sent' };
      if (bytes.length > bytesMax) return { refusal: `is larger than ${bytesMax} bytes` };
      return { bytes };
    },
  };
  const bundle = await readBundle(source, { ...checks, faults });
  if (faults.count > 0) throw contentError(faults.listed, faults.count);
  if (bundle === undefined) throw new RuneError('MODULE_CONTENT_INVALID', 'The bundle cannot be read.');
  return bundle;
}
