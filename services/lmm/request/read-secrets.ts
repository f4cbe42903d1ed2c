import type { MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import { refuseField } from '../refuse-field.js';

const TEXTS_MAX = 1000;

/** The texts in the secret parameters of a request. Throws FIELD_MALFORMED if there are too many. */
export function readSecrets({ secretParams, paramsJson }: MediateStart): string[] {
  if (secretParams.length === 0) return [];
  const params = JSON.parse(paramsJson.toString() || '{}') as Record<string, unknown>;
  const texts = new Set<string>();
  const gather = (value: unknown): void => {
    if (typeof value === 'string') texts.add(value);
    else if (typeof value === 'object' && value !== null)
      for (const item of Object.values(value)) gather(item);
  };
  for (const name of secretParams) if (Object.hasOwn(params, name)) gather(params[name]);
  if (texts.size > TEXTS_MAX)
    refuseField('secret_params', `The secret parameters hold ${texts.size} texts.`, `at most ${TEXTS_MAX}`);
  return [...texts];
}
