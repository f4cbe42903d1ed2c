import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

// X.509 certificates without any tool: just enough DER for a CA and what it signs.

/** A key with its certificate, both PEM. */
export interface TestCertificate {
  readonly certificate: string;
  readonly key: string;
  /** Subject as given, for signing others. */
  readonly subject: Subject;
}

/** Parts of a subject, in order, such as [["CN", "rune-lom"]]. */
export type Subject = readonly (readonly ['CN' | 'O', string])[];

const OIDS = {
  CN: '550403',
  O: '55040a',
  ecdsaWithSha256: '2a8648ce3d040302',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
};

/** When a certificate is valid, in milliseconds from now; UTCTime bounds it to the years up to 2049. */
export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

const ONE_DAY: Validity = { fromMs: -3_600_000, untilMs: 86_400_000 };

/**
 * Makes a certificate for this subject, valid for a day unless said otherwise, for 127.0.0.1 and localhost; self-signed
 * without an issuer.
 */
export function createCertificate(
  subject: Subject,
  issuer?: TestCertificate,
  validity: Validity = ONE_DAY,
): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = issuer === undefined ? privateKey : createPrivateKey(issuer.key);
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm(),
    name(issuer?.subject ?? subject),
    sequence(time(validity.fromMs), time(validity.untilMs)),
    name(subject),
    spki(publicKey),
    tagged(0xa3, sequence(issuer === undefined ? authority() : addresses())),
  );
  const signature = sign('sha256', body, signer);
  const der = sequence(body, algorithm(), tagged(0x03, Buffer.concat([Buffer.from([0]), signature])));
  return {
    certificate: pem('CERTIFICATE', der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    subject,
  };
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function integer(value: Buffer): Buffer {
  return tagged(0x02, value);
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

function algorithm(): Buffer {
  return sequence(oid(OIDS.ecdsaWithSha256));
}

function name(subject: Subject): Buffer {
  const parts = subject.map(([type, value]) =>
    tagged(0x31, sequence(oid(OIDS[type]), tagged(0x0c, Buffer.from(value)))),
  );
  return sequence(...parts);
}

function time(offsetMs: number): Buffer {
  const text = new Date(Date.now() + offsetMs)
    .toISOString()
    .replace(/[-:T]|\.\d+/g, '')
    .slice(2);
  return tagged(0x17, Buffer.from(text));
}

function spki(key: KeyObject): Buffer {
  return createPublicKey(key.export({ type: 'spki', format: 'pem' })).export({ type: 'spki', format: 'der' });
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tagged(0x04, value));
}

function authority(): Buffer {
  return extension(OIDS.basicConstraints, sequence(tagged(0x01, Buffer.from([0xff]))));
}

function addresses(): Buffer {
  const names = [tagged(0x82, Buffer.from('localhost')), tagged(0x87, Buffer.from([127, 0, 0, 1]))];
  return extension(OIDS.subjectAltName, sequence(...names));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
