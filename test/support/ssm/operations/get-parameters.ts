import { AwsError } from '../aws-error.js';
import type { Scope } from '../command.js';
import type { Input } from '../input.js';
import type { Service } from '../service.js';

const NAMES_MAX = 10;

/** Values by name, and the names that have none. A secret one stays encrypted unless asked for. */
export function getParameters(service: Service, _scope: Scope, input: Input): object {
  const names = input.texts('Names', NAMES_MAX);
  const isDecrypting = input.flag('WithDecryption');
  const show = (name: string): object[] => {
    const found = service.parameters.get(name);
    if (found === undefined) return [];
    const isHidden = found.type === 'SecureString' && !isDecrypting;
    return [
      {
        Name: name,
        Type: found.type,
        Value: isHidden ? `AQICA${Buffer.from(name).toString('base64')}` : found.value,
        Version: 1,
        DataType: 'text',
      },
    ];
  };
  return {
    Parameters: names.flatMap(show),
    InvalidParameters: names.filter((name) => !service.parameters.has(name)),
  };
}

/** One value by name. */
export function getParameter(service: Service, scope: Scope, input: Input): object {
  const name = input.text('Name', { least: 1 }) ?? '';
  const { Parameters: found } = getParameters(service, scope, { ...input, texts: () => [name] }) as {
    readonly Parameters: readonly object[];
  };
  if (found.length === 0) throw new AwsError('ParameterNotFound', `Parameter ${name} not found.`);
  return { Parameter: found[0] };
}
