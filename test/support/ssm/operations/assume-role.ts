import { AwsError } from '../aws-error.js';
import { makeSessionKey, type Service } from '../service.js';
import type { Caller } from '../verify-signature.js';

const SESSION_SECONDS_DEFAULT = 3600;

/** Answers the two calls of the token service that matter here, in its XML. Throws AccessDenied for a role that is not granted. */
export function answerTokenService(
  service: Pick<Service, 'keys' | 'roles'>,
  caller: Caller,
  form: URLSearchParams,
): string {
  const action = form.get('Action') ?? '';
  switch (action) {
    case 'GetCallerIdentity':
      return envelope(
        action,
        `<Arn>${caller.key.arn}</Arn><UserId>${caller.key.accessKeyId}</UserId><Account>${caller.account}</Account>`,
      );
    case 'AssumeRole': {
      const arn = form.get('RoleArn') ?? '';
      const account = service.roles.get(arn);
      if (account === undefined)
        throw new AwsError(
          'AccessDenied',
          `User: ${caller.key.arn} is not authorized to perform: sts:AssumeRole on resource: ${arn}`,
          403,
        );
      const seconds = Number(form.get('DurationSeconds') ?? SESSION_SECONDS_DEFAULT);
      const expiresAtMs = Date.now() + seconds * 1000;
      const assumed = `${arn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${form.get('RoleSessionName')}`;
      const key = makeSessionKey(account, assumed, expiresAtMs);
      service.keys.set(key.accessKeyId, key);
      return envelope(
        action,
        `<AssumedRoleUser><AssumedRoleId>AROATEST:session</AssumedRoleId><Arn>${assumed}</Arn></AssumedRoleUser>` +
          `<Credentials><AccessKeyId>${key.accessKeyId}</AccessKeyId><SecretAccessKey>${key.secretAccessKey}</SecretAccessKey>` +
          `<SessionToken>${key.sessionToken}</SessionToken><Expiration>${new Date(expiresAtMs).toISOString()}</Expiration></Credentials>`,
      );
    }
    default:
      throw new AwsError('InvalidAction', `Could not find operation ${action}`);
  }
}

const envelope = (action: string, result: string): string =>
  `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${result}</${action}Result>` +
  `<ResponseMetadata><RequestId>test</RequestId></ResponseMetadata></${action}Response>`;
