import { randomBytes } from 'node:crypto';
import type { MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import type { InputReference, Transport } from '../transports/transport.js';
import { refuseField } from '../refuse-field.js';

const REFERENCES_MAX = 8;
const REFERENCE = /^ssm:([A-Za-z0-9_./-]{1,1000})$/;

/** What the plugin reads, and the places in it that the node fills. */
export interface ReferencingInput {
  readonly input: Buffer;
  readonly references: readonly InputReference[];
}

/**
 * The input as `write` makes it of a request, and where in it the references of the request stand. `write` may use the parameters as
 * often as it likes, as JSON. Throws FIELD_MALFORMED.
 */
export function readReferences(
  start: MediateStart,
  transport: Transport,
  write: (start: MediateStart) => Buffer,
): ReferencingInput {
  const { referencedParams } = start;
  if (referencedParams.length === 0) return { input: write(start), references: [] };
  if (transport.resolvesReferences !== true)
    refuseField('referenced_params', `Over ${transport.name} no node looks up parameters.`, 'empty');
  if (referencedParams.length > REFERENCES_MAX)
    refuseField(
      'referenced_params',
      `${referencedParams.length} parameters are references.`,
      `at most ${REFERENCES_MAX}`,
    );
  const params = JSON.parse(start.paramsJson.toString() || '{}') as Record<string, unknown>;
  const marked = referencedParams.map((parameter) => {
    const value = Object.hasOwn(params, parameter) ? params[parameter] : undefined;
    const [, name] = (typeof value === 'string' && REFERENCE.exec(value)) || [];
    if (name === undefined)
      return refuseField(
        `params.${parameter}`,
        'This is no reference.',
        'ssm: and a name in Parameter Store',
      );
    // Nothing else in the input can be equal to it.
    const mark = `rune-${randomBytes(16).toString('hex')}`;
    params[parameter] = mark;
    return { parameter, name, literal: JSON.stringify(mark) };
  });
  const input = write({ ...start, paramsJson: Buffer.from(JSON.stringify(params)) });
  const references = marked.flatMap(({ literal, ...reference }) =>
    placesOf(input, literal).map((at) => ({ ...reference, start: at, end: at + literal.length })),
  );
  return { input, references: references.toSorted((one, other) => one.start - other.start) };
}

function placesOf(input: Buffer, literal: string): number[] {
  const places: number[] = [];
  for (let at = input.indexOf(literal); at >= 0; at = input.indexOf(literal, at + 1)) places.push(at);
  return places;
}
