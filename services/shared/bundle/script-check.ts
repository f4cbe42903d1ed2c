import { Delivery } from '../gen/rune/v1/mrs.js';

const BASH = /^#! ?(\/usr)?(\/local)?\/bin\/(env +)?bash( |$)/;
const INTERPRETER = /^#! ?\/[^ ]/;
// What Linux reads of a first line; the rest would be cut off without a word.
const FIRST_LINE_BYTES_MAX = 255;

/** Why these bytes cannot be sent to a node, or undefined if they can. */
export function checkText(bytes: Buffer): string | undefined {
  if (bytes.includes(0)) return 'holds a NUL byte';
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return 'is not UTF-8';
  }
  return undefined;
}

/** Why this plugin cannot be run by this delivery, or undefined if it can. */
export function checkScript(bytes: Buffer, delivery: Delivery): string | undefined {
  const wrong = checkText(bytes);
  if (wrong !== undefined) return wrong;
  const end = bytes.indexOf('\n');
  const line = bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
  if (line.endsWith('\r')) return 'has Windows line ends';
  if (line.length > FIRST_LINE_BYTES_MAX)
    return `has a first line of more than ${FIRST_LINE_BYTES_MAX} bytes`;
  if (delivery === Delivery.STREAM && !BASH.test(line)) {
    return 'must begin with #!/bin/bash or #!/usr/bin/env bash: the delivery "stream" is for Bash, "directory" for anything else';
  }
  if (!INTERPRETER.test(line)) return 'must begin with "#!" and the absolute path of its interpreter';
  return undefined;
}
