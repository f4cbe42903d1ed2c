import {
  GetCommandInvocationCommand,
  SendCommandCommand,
  SSMClient,
  type GetCommandInvocationCommandOutput,
  type SendCommandCommandInput,
} from '@aws-sdk/client-ssm';
import { eventually } from '../eventually.js';
import { startSsmEndpoint, type SsmEndpoint, type SsmEndpointOptions } from './ssm-endpoint.js';

/** The instances of the endpoint; the last one is in another region. */
export const WEB = 'i-0123456789abcdef0';
export const DB = 'i-0123456789abcdef1';
export const FAR = 'i-0123456789abcdef2';
const OWN_DOCUMENT = {
  schemaVersion: '2.2',
  parameters: {
    Payload: { type: 'String', allowedPattern: '[A-Za-z0-9+/=]*' },
    Seconds: { type: 'String', default: '60', allowedPattern: '[0-9]+' },
  },
  mainSteps: [
    {
      action: 'aws:runShellScript',
      name: 'run',
      inputs: { runCommand: ["printf %s '{{ Payload }}' | base64 -d | sh"], timeoutSeconds: '{{ Seconds }}' },
    },
  ],
};

/** What an invocation is now. */
export type Invocation = GetCommandInvocationCommandOutput;
type ClientOptions = ConstructorParameters<typeof SSMClient>[0];

/** The endpoint that a test starts, and clients of it. */
export interface EndpointScene {
  readonly endpoint: SsmEndpoint;
  /** Once in every test. */
  start(options?: Partial<SsmEndpointOptions>): Promise<void>;
  /** Makes a client that tries once. */
  connect(options?: ClientOptions): SSMClient;
  /** Closes this client too after the test. */
  track(client: SSMClient): SSMClient;
  /** Sends a script to WEB, unless the fields say otherwise; resolves with the command's id. */
  send(script: string, fields?: Partial<SendCommandCommandInput>, client?: SSMClient): Promise<string>;
  invocation(commandId: string, instanceId?: string, client?: SSMClient): Promise<Invocation>;
  /** Waits until the invocation has this status. */
  until(status: string, commandId: string, instanceId?: string): Promise<Invocation>;
}

/** The name of the error with which a call fails, or `none`. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return (error as Error).name;
  }
  return 'none';
}

/** Stops the endpoint and closes the clients of each test after it. To be called in a `describe`. */
export function endpointScene(): EndpointScene {
  let endpoint: SsmEndpoint;
  const clients = new Set<SSMClient>();
  before(() => {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  });
  afterEach(async () => {
    for (const client of clients) client.destroy();
    clients.clear();
    await endpoint.stop();
  });

  const track = (client: SSMClient): SSMClient => {
    clients.add(client);
    return client;
  };
  const connect = (options: ClientOptions = {}): SSMClient =>
    track(
      new SSMClient({
        endpoint: endpoint.url,
        region: endpoint.region,
        credentials: endpoint.credentials,
        maxAttempts: 1,
        ...options,
      }),
    );
  const invocation: EndpointScene['invocation'] = (CommandId, InstanceId = WEB, client = connect()) =>
    client.send(new GetCommandInvocationCommand({ CommandId, InstanceId }));
  return {
    get endpoint() {
      return endpoint;
    },
    async start(options = {}) {
      endpoint = await startSsmEndpoint({
        instances: { [WEB]: { tags: { role: 'web' } }, [DB]: {}, [FAR]: { region: 'eu-west-1' } },
        regions: ['us-east-1', 'eu-west-1'],
        documents: { 'Own-Run': OWN_DOCUMENT },
        agentSecondMs: 40,
        ...options,
      });
    },
    connect,
    track,
    async send(script, fields = {}, client = connect()) {
      const { Command } = await client.send(
        new SendCommandCommand({
          DocumentName: 'AWS-RunShellScript',
          Parameters: { commands: [script] },
          ...(fields.Targets === undefined ? { InstanceIds: [WEB] } : {}),
          ...fields,
        }),
      );
      return Command?.CommandId ?? '';
    },
    invocation,
    until(status, id, instanceId = WEB) {
      const client = connect();
      return eventually(
        async () => {
          const found = await invocation(id, instanceId, client);
          return found.Status === status ? found : false;
        },
        { label: status },
      );
    },
  };
}
