import { isIP } from 'node:net';
import { USER_NAME, USER_NAME_RULE } from '../../shared/user-name.js';

/** A rule for a text of the inventory; `description` follows the name of what breaks it. */
export interface TextRule {
  isMet(text: string): boolean;
  readonly reason: string;
  readonly description: string;
}

const rule = (pattern: RegExp, reason: string, description: string): TextRule => ({
  isMet: (text) => pattern.test(text),
  reason,
  description,
});

const NAME_CHARS_MAX = 253;
const HOST_LABEL = /^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$/;
// Resolvers read a last label like this as part of an IPv4 address in decimal, octal or hexadecimal.
const NUMERIC_LABEL = /^([0-9]+|0[xX][0-9A-Fa-f]*)$/;

/** Names of nodes and groups. */
export const NAME_RULE = rule(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/,
  'NAME',
  'is not a good name: use letters, digits, ".", "_" and "-", begin with a letter or digit, at most 253 characters',
);
/** Where a node is reached. */
export const ADDRESS_RULE: TextRule = {
  isMet: (text) => (isIP(text) !== 0 && !text.includes('%')) || isHostName(text),
  reason: 'ADDRESS',
  description: 'must be a host name or an IP address, and nothing else',
};
/** Name of a user of the node. */
export const USER_RULE = rule(USER_NAME, 'USER', USER_NAME_RULE);
/** Names of credentials, zones and locks. */
export const WORD_RULE = rule(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  'WORD',
  'must be a word of letters, digits, ".", "_" and "-", beginning with a letter or digit, at most 64 characters',
);
/** SHA-256 of a host key, as ssh-keygen -l prints it. */
export const FINGERPRINT_RULE = rule(
  /^SHA256:[A-Za-z0-9+/]{43}$/,
  'FINGERPRINT',
  'must be a fingerprint as ssh-keygen -l prints it: "SHA256:" and 43 characters',
);
/** Where Systems Manager knows a node. */
export const INSTANCE_ID_RULE = rule(
  /^m?i-[0-9a-f]{8,17}$/,
  'INSTANCE_ID',
  'must be the id of an instance: "i-" or "mi-" and 8 to 17 hexadecimal digits',
);
/** AWS regions. */
export const REGION_RULE = rule(
  /^[a-z]{2}(-[a-z0-9]+)+-\d$/,
  'REGION',
  'must be the name of an AWS region, such as eu-central-1',
);
/** Roles of AWS. */
export const ROLE_ARN_RULE = rule(
  /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/,
  'ROLE_ARN',
  'must be the ARN of an IAM role: "arn:aws:iam::", 12 digits, ":role/" and its name',
);
/** Keys of labels. */
export const LABEL_KEY_RULE = rule(
  /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/,
  'LABEL',
  'is not a good label: use letters, digits, ".", "_", "-" and "/", begin with a letter or digit, at most 63 characters',
);
/** Values of labels. */
export const LABEL_VALUE_RULE = rule(/^\P{Cc}*$/u, 'LABEL', 'must not hold control characters');

function isHostName(text: string): boolean {
  const labels = text.split('.');
  return (
    text.length <= NAME_CHARS_MAX &&
    labels.every((label) => HOST_LABEL.test(label)) &&
    !NUMERIC_LABEL.test(labels.at(-1) ?? '')
  );
}
