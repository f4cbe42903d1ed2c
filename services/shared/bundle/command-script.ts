/** The plugin of an action that has a `command` in place of a script: it becomes the program that its arguments name. */
export const COMMAND_SCRIPT = Buffer.from('#!/usr/bin/env bash\nexec -- "$@"\n');
