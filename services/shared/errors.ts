import type { EpsError, ErrorFacts } from './gen/rune/v1/eps.js';

/** Canonical gRPC status codes by name: the numbers every gRPC library shares. */
export const GRPC_STATUS = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

/** How the command line ends, by meaning. The only place where these numbers are written. */
export const EXIT_CODE = {
  SUCCEEDED: 0,
  PLUGIN_FAILED: 1,
  USAGE: 2,
  UNKNOWN: 3,
  REFUSED: 4,
  SERVICE_UNREACHABLE: 5,
  NODE_UNREACHABLE: 6,
  TIMED_OUT: 124,
  CANCELLED: 130,
} as const;

/** One row of the error table. `recovery` says what a person should do next; `{node}` and `{action}` are filled in. */
export interface ErrorRow {
  /** EPS code; its range decides the classification. */
  readonly code: number;
  readonly grpc: keyof typeof GRPC_STATUS;
  readonly exit: keyof typeof EXIT_CODE;
  readonly retryable: boolean;
  readonly severity: 'CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW';
  readonly recovery: readonly string[];
}

const row = (
  code: number,
  grpc: ErrorRow['grpc'],
  exit: ErrorRow['exit'],
  severity: ErrorRow['severity'],
  retryable: boolean,
  ...recovery: string[]
): ErrorRow => ({ code, grpc, exit, severity, retryable, recovery });

const FIX_PLUGIN =
  'Fix the plugin: its standard output must be exactly one JSON object, everything else goes to standard error.';
const SEE_EVIDENCE =
  'Read what it printed: the start of it is shown as evidence, beside the end of its standard error.';

/** Every failure this system can report, by its stable name. docs/errors.md shows the same table. */
// prettier-ignore
export const ERRORS = {
  INVALID_REQUEST: row(-32600, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Correct what is listed and send the request again.'),
  METHOD_NOT_FOUND: row(-32601, 'UNIMPLEMENTED', 'REFUSED', 'LOW', false, 'Use a client and services whose versions agree: rune --version'),
  INVALID_PARAMS: row(-32602, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Correct the parameters that are listed.', 'Show what the action takes: rune actions show {action}'),
  INTERNAL: row(-32603, 'INTERNAL', 'REFUSED', 'HIGH', false, 'This is a fault of the service: look for the error_fingerprint in its log and report it.'),

  OUTCOME_UNKNOWN: row(-32000, 'UNAVAILABLE', 'UNKNOWN', 'HIGH', false, 'The action may have run on {node}: check the node before running it again.', 'The node ends the plugin by itself, at the latest at the time that is shown.'),
  PLUGIN_FAILED: row(-32001, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'The action ran on {node} and says that it failed: read its message and standard error.'),
  PLUGIN_REFUSED_INPUT: row(-32002, 'INVALID_ARGUMENT', 'PLUGIN_FAILED', 'LOW', false, 'The plugin refused its parameters: correct them.', 'Show what the action takes: rune actions show {action}'),
  PLUGIN_DEPENDENCY_MISSING: row(-32003, 'FAILED_PRECONDITION', 'PLUGIN_FAILED', 'MEDIUM', false, 'Something that the plugin needs is missing on {node}: read its message and provide it.'),
  PLUGIN_MISCONFIGURED: row(-32004, 'FAILED_PRECONDITION', 'PLUGIN_FAILED', 'MEDIUM', false, 'The plugin reports a configuration error on {node}: read its message and correct the configuration.'),
  PLUGIN_CRASHED: row(-32005, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'The plugin ended without an answer: read its standard error, then try the plugin by hand on {node}.'),
  PLUGIN_KILLED: row(-32006, 'ABORTED', 'PLUGIN_FAILED', 'HIGH', false, 'Something on {node} killed the plugin: KILL often means out of memory, see the kernel log.'),
  RUN_CANCELLED: row(-32007, 'CANCELLED', 'CANCELLED', 'LOW', false, 'Run the action again if it is still wanted; check {node} first if nothing confirms that the plugin ended.'),
  OUTPUT_MISSING: row(-32010, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'The plugin printed no result.', FIX_PLUGIN),
  OUTPUT_NOT_JSON: row(-32011, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, SEE_EVIDENCE, FIX_PLUGIN),
  OUTPUT_NOT_AN_OBJECT: row(-32012, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, SEE_EVIDENCE, FIX_PLUGIN),
  OUTPUT_NOT_UTF8: row(-32013, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, SEE_EVIDENCE, 'Make the plugin print its result in UTF-8 (the shell library does).'),
  OUTPUT_NOT_ALONE: row(-32014, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, SEE_EVIDENCE, FIX_PLUGIN),
  OUTPUT_MALFORMED: row(-32015, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, SEE_EVIDENCE, 'Make the plugin answer in the shape that docs/plugins.md describes.'),
  OUTPUT_CONTRADICTS_EXIT: row(-32016, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'Decide by the exit code and standard error what happened on {node}.', 'Fix the plugin: exit 0 goes with success, any other exit code with an error.'),
  DRY_RUN_NOT_HONOURED: row(-32017, 'ABORTED', 'PLUGIN_FAILED', 'HIGH', false, 'The plugin may have changed {node} in spite of the dry run: check the node.', 'Fix the plugin to answer "dry_run", or set supports_dry_run: false in its manifest.'),
  RESULT_TOO_LARGE: row(-32018, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'The action ran; only the start of its result was kept. Ask it for less, or raise the output limit.'),
  OUTPUT_SCHEMA_MISMATCH: row(-32019, 'ABORTED', 'PLUGIN_FAILED', 'MEDIUM', false, 'The action ran and its result breaks the output_schema of its manifest: correct one of the two.'),
  NODE_SETUP_FAILED: row(-32020, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Check that bash 4.2 or newer starts for this user on {node}: ssh {node} bash --version', 'Read what the node said on standard error.'),
  CALL_CANCELLED: row(-32021, 'CANCELLED', 'CANCELLED', 'LOW', false, 'The caller ended the call; an execution that was accepted goes on.'),

  MODULE_NOT_FOUND: row(-32100, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'Check the name: this process does not serve it.'),
  SERVICE_UNREACHABLE: row(-32101, 'UNAVAILABLE', 'SERVICE_UNREACHABLE', 'HIGH', true, 'Start the service (rune-lom, or rune up) or correct the address.'),
  MEDIATOR_UNAVAILABLE: row(-32106, 'UNAVAILABLE', 'SERVICE_UNREACHABLE', 'HIGH', true, 'Nothing ran on {node}. Start rune-lmm at the address in the message, and look into its log.'),
  TRANSPORT_NOT_AVAILABLE: row(-32102, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Choose a transport that the node lists (rune nodes show {node}) and that its mediator offers; it offers local only with local_enabled: true, ssm only with ssm.enabled: true, and openssh only where it finds the ssh of OpenSSH.'),
  MESSAGE_TOO_LARGE: row(-32103, 'RESOURCE_EXHAUSTED', 'REFUSED', 'LOW', false, 'Send less: a message may hold at most 4 MiB.'),
  READER_TOO_SLOW: row(-32104, 'RESOURCE_EXHAUSTED', 'REFUSED', 'LOW', false, 'The execution goes on; read the stream faster.'),
  PROTOCOL_VERSION_MISMATCH: row(-32105, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'Use a client and services whose protocol versions agree: rune --version'),
  NO_MEDIATOR_FOR_ZONE: row(-32108, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. Start a mediator of that zone that registers with LOM, name one in the setting mediators of LOM, or correct the zone of {node} in the inventory.'),
  MODULE_NOT_REGISTERED: row(-32109, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'Check the id: rune modules list. A module whose registration has ended registers again.'),
  LINK_LOST: row(-32107, 'UNAVAILABLE', 'PLUGIN_FAILED', 'HIGH', false, 'The mediator was silent for too long and {node} stopped the plugin: check the node, then the load of the mediator.'),

  SCHEMA_INVALID: row(-32200, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Correct the JSON Schema at the place that is named; docs/plugins.md says which dialect is read.'),
  FIELD_MISSING: row(-32201, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Set the field that is named.'),
  FIELD_WRONG_TYPE: row(-32202, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Set the field to a value of the type that is expected.'),
  FIELD_OUT_OF_RANGE: row(-32203, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Choose a value within what is expected.'),
  FIELD_MALFORMED: row(-32204, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Write the value in the form that is expected.'),
  CHECKSUM_MISMATCH: row(-32205, 'INVALID_ARGUMENT', 'REFUSED', 'HIGH', false, 'The bytes are not those that the digest names: nothing was run. Send them again, then look for what changed them.'),
  MODULE_NAME_TAKEN: row(-32205, 'ALREADY_EXISTS', 'REFUSED', 'LOW', false, 'Choose another module name, or deregister the module that has it: rune modules list'),
  MODULE_DEPENDENCY_MISSING: row(-32206, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Register the module that is named first, or declare the dependency as optional.'),
  MODULE_VERSION_CONFLICT: row(-32207, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Give what you register a new version: one version is one content. For a dependency, register a version that fits, or correct the range.'),
  ACTION_ALREADY_PROVIDED: row(-32208, 'ALREADY_EXISTS', 'REFUSED', 'LOW', false, 'Give the action another name, or deregister the module that provides it: rune modules list'),
  MODULE_CONTENT_INVALID: row(-32209, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Correct what is listed: rune plugin lint finds the same in a directory.'),
  FIELD_NOT_SUPPORTED: row(-32210, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Leave the field out: this release does not serve it.'),
  MESSAGE_EXPIRED: row(-32211, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Send the request again with a later time of expiry; check the clocks if it should not have been over.'),
  COMMAND_INVALID: row(-32212, 'INVALID_ARGUMENT', 'USAGE', 'LOW', false, 'Correct the flag or the line that is named; every command explains its flags with --help.'),

  AUTHENTICATION_FAILED: row(-32300, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Put the public key of the credential into authorized_keys of the user on {node}, or correct user or credential in the inventory.'),
  CALLER_NOT_ALLOWED: row(-32301, 'PERMISSION_DENIED', 'REFUSED', 'MEDIUM', false, 'Name the caller in the setting that the message names, or call as somebody who may.'),
  HOST_KEY_UNKNOWN: row(-32302, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'HIGH', false, 'Nothing ran. Compare the fingerprint with the node itself, then pin it in the inventory or add it to the known_hosts file of the mediator: rune nodes trust {node}'),
  HOST_KEY_CHANGED: row(-32306, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'CRITICAL', false, 'Nothing ran. Somebody may be listening between the mediator and {node}. Ask why the key changed; only then replace the old key.'),
  HOST_KEY_REVOKED: row(-32307, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'CRITICAL', false, 'Nothing ran. {node} presents a key that was revoked: give the node a new host key.'),
  CREDENTIAL_NOT_ALLOWED: row(-32308, 'FAILED_PRECONDITION', 'REFUSED', 'HIGH', false, 'Nothing ran. The credential may not be used for this address: correct the inventory, or allowed_hosts of the credential on the mediator.'),
  BECOME_UNAVAILABLE: row(-32310, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Make what the message names work on {node}, or choose sudo or doas with become in the inventory: docs/become.md'),
  BECOME_DENIED: row(-32311, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Let the login on {node} run bash as that user without a password (docs/become.md has the line), or correct run_as.'),
  BECOME_PASSWORD_REQUIRED: row(-32312, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Let the login on {node} run bash as that user without a password (docs/become.md has the line): passwords are never typed. sudo may also ask for one before it refuses.'),

  MEDIATOR_FULL: row(-32400, 'RESOURCE_EXHAUSTED', 'REFUSED', 'MEDIUM', true, 'Try again shortly, or add a mediator.'),
  RUN_TIMED_OUT: row(-32401, 'DEADLINE_EXCEEDED', 'TIMED_OUT', 'MEDIUM', false, 'Give the run more time with --timeout, or find out on {node} what it waits for.'),
  SERVICE_SHUTTING_DOWN: row(-32402, 'UNAVAILABLE', 'SERVICE_UNREACHABLE', 'LOW', true, 'Try again: another instance or the restarted service will answer.'),
  CONFIGURATION_INVALID: row(-32403, 'FAILED_PRECONDITION', 'REFUSED', 'HIGH', false, 'Correct what is named here, then start again.'),
  STORE_UNAVAILABLE: row(-32404, 'UNAVAILABLE', 'SERVICE_UNREACHABLE', 'CRITICAL', true, 'Nothing new is accepted. Look at the database that the setting store of LOM names: is it up, is there room on its disk?'),
  NODE_UNREACHABLE: row(-32405, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Check that {node} is up and that address and port are right: rune nodes show {node}'),
  CALL_DEADLINE_EXCEEDED: row(-32406, 'DEADLINE_EXCEEDED', 'SERVICE_UNREACHABLE', 'LOW', true, 'The call took longer than its deadline; an execution that was accepted goes on.'),
  NODE_CONNECT_TIMEOUT: row(-32407, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. {node} does not answer: check that it is up and that no firewall drops the connection.'),
  NODE_NAME_UNRESOLVED: row(-32408, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Correct the address of {node} in the inventory, or the name service of the mediator.'),
  CREDENTIAL_UNUSABLE: row(-32409, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'HIGH', false, 'Nothing ran. Correct the credential in the configuration of the mediator: the message says what is wrong with it.'),
  NODE_CHANNEL_REFUSED: row(-32410, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. sshd on {node} refused a session: raise MaxSessions there, or run less at once.'),
  NODE_HANDSHAKE_FAILED: row(-32411, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Check that an SSH server listens at address and port of {node}; one that offers only SHA-1 algorithms must be updated, or needs weak_algorithms: true in the inventory.'),

  SSM_UNAVAILABLE: row(-32420, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Check that the mediator reaches Systems Manager in the region of {node}; if it throttles, run less at once or ask AWS for more.'),
  SSM_ACCESS_DENIED: row(-32421, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'HIGH', false, 'Nothing ran. Give the mediator AWS credentials with the permissions that docs/ssm.md lists: the message says what is wrong.'),
  SSM_INSTANCE_UNKNOWN: row(-32422, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Check instance_id, region and role_arn of {node} in the inventory, and that its SSM agent is online: rune doctor --node {node}'),
  SSM_DOCUMENT_UNUSABLE: row(-32423, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'HIGH', false, 'Nothing ran. Correct ssm.document and ssm.document_form of the mediator: docs/ssm.md says which document its release needs.'),
  SSM_NOT_DELIVERED: row(-32424, 'UNAVAILABLE', 'NODE_UNREACHABLE', 'MEDIUM', true, 'Nothing ran. Check that {node} is up and its SSM agent online: rune doctor --node {node}'),
  SSM_COMMAND_TOO_LARGE: row(-32425, 'INVALID_ARGUMENT', 'REFUSED', 'LOW', false, 'Nothing ran. Send less, or run the action over ssh; what SSM carries is limited by AWS.'),
  SECRET_NOT_CARRIED: row(-32309, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'Nothing ran. Parameters of SSM commands end up in CloudTrail and on the disk of the node: give a reference such as ssm:/path/name, which {node} looks up in Parameter Store (docs/ssm.md), or run the action over ssh.'),
  SSM_PARAMETER_NOT_ALLOWED: row(-32426, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'Nothing ran. Name a parameter that the mediator of {node} allows, or allow it in ssm.parameters of its configuration.'),
  SSM_PARAMETER_UNAVAILABLE: row(-32427, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Check that the parameter exists in the region of {node}, that the role of the node may read and decrypt it, and that the AWS command line is installed there: the message says what failed.'),

  NODE_IN_MAINTENANCE: row(-32501, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. Leave {node} out with --exclude, or end its maintenance in the inventory.'),
  RUN_ALREADY_EXISTS: row(-32502, 'ALREADY_EXISTS', 'REFUSED', 'LOW', false, 'A run id is started once: make a new one.'),
  PLUGIN_CONTENT_NEEDED: row(-32503, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', true, 'Send the request again with the content of the digests that are listed.'),
  RISK_NOT_ACKNOWLEDGED: row(-32504, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. {action} can destroy data: look at the plan (--plan), then run it with --yes.'),
  TOO_MANY_EXECUTIONS: row(-32505, 'RESOURCE_EXHAUSTED', 'REFUSED', 'MEDIUM', true, 'Nothing ran. Try again when some of the running executions have ended.'),
  NODE_LOCKED: row(-32506, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', true, 'Nothing ran. Wait until the other run has ended, or cancel its execution: rune nodes show {node}', 'Let the run wait (--on-locked queue), longer with --queue-timeout.'),
  TOO_MANY_MODULES: row(-32530, 'RESOURCE_EXHAUSTED', 'REFUSED', 'MEDIUM', false, 'Deregister modules that nobody needs (rune modules list), or raise modules.registered_max of LOM.'),
  NODE_COOLING_DOWN: row(-32507, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', true, 'Nothing ran. {action} ran on {node} a short while ago: look at what that came to, and run it again after the time that is shown if it is still wanted.'),
  ACTION_LIMIT_REACHED: row(-32508, 'RESOURCE_EXHAUSTED', 'REFUSED', 'LOW', true, 'Nothing ran. As many runs of {action} are under way as its manifest allows: wait until some of them have ended, or cancel their executions: rune executions list --action {action}', 'Let the run wait (--on-locked queue), longer with --queue-timeout.'),
  ACTION_NOT_IDEMPOTENT: row(-32509, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. Leave at_least_once out: a second run of {action} may do harm. Only where its manifest says idempotent: true may a run be repeated that may have started.'),
  ACTION_NOT_FOUND: row(-32510, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'List the actions: rune actions'),
  NODE_NOT_FOUND: row(-32511, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'List the nodes: rune nodes'),
  GROUP_NOT_FOUND: row(-32512, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'List the nodes with their groups: rune nodes'),
  NO_NODES_MATCHED: row(-32513, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Check names, groups, labels and exclude: rune nodes', 'Allow an empty choice (--allow-empty) if no node is a good answer.'),
  SECRET_NOT_RECORDED: row(-32525, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. Give the secrets that are named again: rune executions rerun ID --param NAME=@FILE'),
  EXECUTION_NOT_FOUND: row(-32514, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'Check the id: rune executions list. Old executions are deleted, as the settings of retention say.'),
  RUN_NOT_FOUND: row(-32515, 'NOT_FOUND', 'REFUSED', 'LOW', false, 'The run has ended, or another mediator has it.'),
  WRONG_INSTANCE: row(-32518, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'Another process answers at this address now: ask it which one it is, and what runs it has.'),
  STALE_OWNER: row(-32519, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'Another orchestrator owns the execution by now and goes on with it.'),
  RUN_RECORD_GONE: row(-32520, 'FAILED_PRECONDITION', 'REFUSED', 'MEDIUM', false, 'The run ended and its outcome was not fetched in time: look at the node.'),
  READER_REPLACED: row(-32523, 'ABORTED', 'REFUSED', 'LOW', false, 'A newer call shows the events of this run: read that one.'),
  REQUEST_ID_REUSED: row(-32521, 'ALREADY_EXISTS', 'REFUSED', 'LOW', false, 'Nothing ran. Use a new request id for a new request.'),
  EXECUTION_NOT_ENDED: row(-32522, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Wait until the execution has ended, or cancel it first.'),
  DRY_RUN_NOT_SUPPORTED: row(-32516, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran. Use --plan to see what would run where without contacting any node.'),
  RUN_HELD_BACK: row(-32524, 'FAILED_PRECONDITION', 'REFUSED', 'LOW', false, 'Nothing ran on {node}. See why the runs before it failed, then run the rest: rune executions rerun ID --failed'),
  NODE_LACKS_REQUIREMENT: row(-32517, 'FAILED_PRECONDITION', 'NODE_UNREACHABLE', 'MEDIUM', false, 'Nothing ran. Provide on {node} what the message names, or leave the node out with --exclude.'),
} as const satisfies Record<string, ErrorRow>;

/** Stable name of a failure. */
export type ErrorName = keyof typeof ERRORS;

/**
 * The one error type of this project. `message` is one sentence for a person, safe to send to a caller; `cause` is for the
 * log only and never sent.
 */
export class RuneError extends Error {
  override readonly name: ErrorName;
  /** What the error is about; see ErrorFacts in proto/rune/v1/eps.proto. */
  readonly facts: Partial<ErrorFacts>;
  /** What another service said, word for word, if the error came from there: it is passed on as it is. */
  readonly eps: EpsError | undefined;
  /** The node that recovery actions name, where the cause is on another one than facts are about: a jump host. */
  readonly recoverAt: string | undefined;
  /** When the service that refused may be asked again, in ms, if it said so. It is the other side's word: bound it before use. */
  readonly retryAfterMs: number | undefined;

  constructor(
    name: ErrorName,
    message: string,
    facts: Partial<ErrorFacts> = {},
    options: {
      cause?: unknown;
      eps?: EpsError;
      recoverAt?: string | undefined;
      retryAfterMs?: number | undefined;
    } = {},
  ) {
    super(message, options);
    this.name = name;
    this.facts = facts;
    this.eps = options.eps;
    this.recoverAt = options.recoverAt;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The table's row for this error. */
  get row(): ErrorRow {
    return ERRORS[this.name];
  }

  /** Any thrown value as a RuneError: itself, or INTERNAL with the value as its cause. */
  static from(thrown: unknown): RuneError {
    return thrown instanceof RuneError
      ? thrown
      : new RuneError('INTERNAL', 'The service met an unexpected fault.', {}, { cause: thrown });
  }
}
