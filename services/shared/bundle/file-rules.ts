/** Name of a module or an action. */
export const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** What NAME asks for. */
export const NAME_RULE =
  'must be lower-case words of letters and digits joined by "-", beginning with a letter';
/** What a version must be. */
export const SEMVER_RULE = 'must be a version such as 1.2.0 (SemVer 2.0)';
/** Path of a file inside a bundle: it cannot lead out. */
export const FILE_PATH = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
/** What FILE_PATH asks for. */
export const FILE_PATH_RULE =
  'must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."';
