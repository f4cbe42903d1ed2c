/** Name of a login: no option, no number, and a plain word in every shell. */
export const USER_NAME = /^[A-Za-z_][A-Za-z0-9._-]{0,31}$/;
/** What USER_NAME asks for. */
export const USER_NAME_RULE =
  'must be a login name: letters, digits, ".", "_" and "-", beginning with a letter or "_", at most 32 characters';
