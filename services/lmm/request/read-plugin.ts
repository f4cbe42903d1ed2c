import type { Blob, Plugin } from '../../shared/gen/rune/v1/lmm.js';
import { Delivery, type Requirements } from '../../shared/gen/rune/v1/mrs.js';
import type { BlobCache } from '../blob-cache.js';
import { refuseField } from '../refuse-field.js';
import type { NodeCommand } from '../transports/transport.js';

const SCRIPT_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 64;
const FILES_BYTES_MAX = 2 * 1024 * 1024;
const ARGUMENTS_BYTES_MAX = 64 * 1024;
const REQUIREMENTS_MAX = 64;
/** Digest of nothing: a script without bytes can never be sent. */
const SHA256_OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const SHA256 = /^[0-9a-f]{64}$/;
const FILE_PATH = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
const FILE_PATH_CHARS_MAX = 256;
const COMMAND = /^\/?[A-Za-z0-9_+.-]+(\/[A-Za-z0-9_+.-]+)*$/;
const OS_ID = /^[a-z0-9._-]+$/;
const OS_VERSION = /^(\d{1,9}(\.\d{1,9})*)?$/;

/** What of a node's command the plugin decides. */
type PluginCommand = Pick<
  NodeCommand,
  | 'script'
  | 'library'
  | 'helpers'
  | 'delivery'
  | 'files'
  | 'arguments'
  | 'requires'
  | 'leavesProcesses'
  | 'systemdScope'
>;

/**
 * The plugin of a request with its bytes. Throws FIELD_MALFORMED for what cannot be sent to a node, PLUGIN_CONTENT_NEEDED and
 * CHECKSUM_MISMATCH as the cache does.
 */
export function readPlugin(plugin: Plugin | undefined, blobs: BlobCache): PluginCommand {
  const script = checkBlob('plugin.script', plugin?.script);
  const library = plugin?.library === undefined ? [] : [checkBlob('plugin.library', plugin.library)];
  const files = checkFiles(plugin?.files ?? []);
  const words = plugin?.arguments ?? [];
  if (words.reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0) > ARGUMENTS_BYTES_MAX) {
    refuseField('plugin.arguments', 'The arguments are too long.', `at most ${ARGUMENTS_BYTES_MAX} bytes`);
  }
  const parts = blobs.resolve([script, ...library, ...files.map(({ blob }) => blob)]);
  const fileParts = parts.slice(1 + library.length);
  checkFileBytes(fileParts);
  const isDirectory = plugin?.delivery === Delivery.DIRECTORY;
  return {
    script: parts[0] as Buffer,
    library: library.length === 0 ? Buffer.alloc(0) : (parts[1] as Buffer),
    helpers: isDirectory ? Buffer.alloc(0) : joinLines(fileParts),
    delivery: isDirectory ? 'directory' : 'stream',
    files: isDirectory ? files.map(({ path }, index) => ({ path, bytes: fileParts[index] as Buffer })) : [],
    arguments: words,
    requires: checkRequirements(plugin?.requires),
    leavesProcesses: plugin?.leavesProcesses ?? false,
    systemdScope: plugin?.systemdScope ?? false,
  };
}

function checkBlob(field: string, blob: Blob | undefined): Blob {
  if (blob === undefined || !SHA256.test(blob.sha256)) {
    return refuseField(`${field}.sha256`, `${field} has no digest.`, '64 lower-case hexadecimal digits');
  }
  if (blob.sha256 === SHA256_OF_NOTHING || blob.content.length > SCRIPT_BYTES_MAX) {
    return refuseField(
      `${field}.content`,
      `${field} is empty or too large.`,
      `1 to ${SCRIPT_BYTES_MAX} bytes`,
    );
  }
  return blob;
}

function checkFiles(files: Plugin['files']): { path: string; blob: Blob }[] {
  if (files.length > FILES_MAX)
    refuseField('plugin.files', 'There are too many files.', `at most ${FILES_MAX}`);
  return files.map(({ path, blob }, index) => {
    const field = `plugin.files[${index}]`;
    if (path.length > FILE_PATH_CHARS_MAX || !FILE_PATH.test(path)) {
      refuseField(
        `${field}.path`,
        'The path of a file is not one that can lie beside the plugin.',
        'a relative path',
      );
    }
    return { path, blob: checkBlob(`${field}.blob`, blob) };
  });
}

function checkFileBytes(parts: readonly Buffer[]): void {
  if (parts.reduce((sum, bytes) => sum + bytes.length, 0) > FILES_BYTES_MAX) {
    refuseField('plugin.files', 'The files are too large.', `at most ${FILES_BYTES_MAX} bytes together`);
  }
}

/** Each file's last line ends, whether the file says so or not. */
function joinLines(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((bytes) => [bytes, Buffer.from('\n')]));
}

function checkRequirements(requires: Requirements | undefined): Requirements {
  const { commands, os } = requires ?? { commands: [], os: [] };
  if (commands.length > REQUIREMENTS_MAX || !commands.every((command) => COMMAND.test(command))) {
    refuseField(
      'plugin.requires.commands',
      'A required command has no usable name.',
      'names or absolute paths, at most 64',
    );
  }
  if (
    os.length > REQUIREMENTS_MAX ||
    !os.every(({ id, versionMin }) => OS_ID.test(id) && OS_VERSION.test(versionMin))
  ) {
    refuseField(
      'plugin.requires.os',
      'A required operating system is not written as os-release does.',
      'id, version_min',
    );
  }
  return { commands, os };
}
