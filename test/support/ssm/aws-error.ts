/** A refusal in AWS's own words: the error's type and message, and the HTTP status that it is sent with. */
export class AwsError extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status = 400) {
    super(message);
    this.type = type;
    this.status = status;
  }
}
