import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { LMM_SETTINGS } from '../../services/lmm/config.js';
import { LMM_METRICS } from '../../services/lmm/metrics.js';
import { LOM_SETTINGS } from '../../services/lom/config.js';
import { loadBundles } from '../../services/lom/actions/load-bundles.js';
import { readSettings } from '../../services/shared/settings/config.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { createSchemaCompiler } from '../../services/shared/schema/schema.js';
import { loadInventory } from '../support/load-inventory.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { kustomize } from '../support/test-tools.js';

const execute = promisify(execFile);
const directory = join(packageRoot, 'deploy/kubernetes');

/** As much of an object as these tests look at. */
interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}
interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly serviceAccountName: string;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly resources: unknown;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly [probe: `${string}Probe`]: { readonly grpc: { readonly port: number } };
}
interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string; readonly items?: readonly { key: string; path: string }[] };
  readonly secret?: { readonly secretName: string };
}

function render(overlay: string): KubeObject[] {
  return parseAllDocuments(kustomize(join(directory, overlay))).map(
    (document) => document.toJS() as KubeObject,
  );
}
function podOf(object: KubeObject): PodSpec {
  const template = object.spec?.['template'] as { readonly spec: PodSpec } | undefined;
  assert.ok(template, `${object.kind} ${object.metadata.name} makes no pods`);
  return template.spec;
}
const named = (objects: readonly KubeObject[], kind: string, name: string): KubeObject => {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};

/** Where the package kubernetes-models has the schema of a kind: its API group without the version, or "core". */
function modelOf({ apiVersion, kind }: KubeObject): { module: string; schema: string } {
  const [group = '', version = ''] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  const area = (group.split('.')[0] ?? '').replace(/^./, (letter) => letter.toUpperCase());
  const upper = version.replace(/^v/, 'V');
  return {
    module: `kubernetes-models/${group === 'core' ? version : apiVersion}/${kind}`,
    schema: `IoK8sApi${area}${upper}${kind}`,
  };
}

async function schemaFaults(object: KubeObject): Promise<unknown> {
  const file = join(packageRoot, 'node_modules/kubernetes-models/_schemas', `${modelOf(object).schema}.js`);
  const { default: schema } = (await import(pathToFileURL(file).href)) as { default: { validate: Validate } };
  return schema.validate(object) ? undefined : schema.validate.errors;
}
interface Validate {
  (object: unknown): boolean;
  readonly errors?: unknown;
}

/** What the compiler has against these objects as literals of their types: keys that do not exist, which schemas let pass. */
async function typeFaults(work: TempDirectory, objects: readonly KubeObject[]): Promise<string> {
  const lines = objects.flatMap((object, index) => [
    `import type { I${object.kind} as T${index} } from '${modelOf(object).module}';`,
    `export const o${index}: T${index} = ${JSON.stringify(object)};`,
  ]);
  await symlink(join(packageRoot, 'node_modules'), join(work.path, 'node_modules')).catch(() => undefined);
  await work.write({ 'objects.ts': lines.join('\n') });
  const options =
    '--noEmit --strict --skipLibCheck --target es2022 --module esnext --moduleResolution bundler --types';
  try {
    await execute(join(packageRoot, 'node_modules/.bin/tsc'), [...options.split(' '), '', 'objects.ts'], {
      cwd: work.path,
    });
    return '';
  } catch (thrown) {
    return String((thrown as { stdout?: string }).stdout);
  }
}

/** As much of a rule of prometheus-adapter as these tests look at. */
interface AdapterRule {
  readonly seriesQuery: string;
  readonly resources: { readonly overrides: Readonly<Record<string, unknown>> };
}

/** Secrets that the operator makes: deploy/kubernetes/README.md. */
const SECRETS = ['rune-lmm-tls', 'rune-lom-tls', 'rune-ssh', 'rune-store'];

for (const overlay of ['overlays/dev', 'overlays/prod']) {
  describe(`deploy/kubernetes/${overlay}`, () => {
    let work: TempDirectory;
    let objects: KubeObject[];
    before(async () => {
      work = await makeTempDirectory();
      objects = render(overlay);
    });
    after(() => work.remove());
    const deployments = (): KubeObject[] => objects.filter(({ kind }) => kind === 'Deployment');

    it('renders objects that the schemas of Kubernetes accept', async () => {
      for (const object of objects) {
        assert.equal(await schemaFaults(object), undefined, `${object.kind} ${object.metadata.name}`);
      }
    });

    it('and that have no key which Kubernetes does not know', async () => {
      assert.equal(await typeFaults(work, objects), '');
    });

    it('puts everything into one namespace with the strictest standard for pods', () => {
      const [space] = objects.filter(({ kind }) => kind === 'Namespace');
      assert.ok(JSON.stringify(space).includes('"pod-security.kubernetes.io/enforce":"restricted"'));
      const others = objects.filter(({ kind }) => kind !== 'Namespace');
      for (const { metadata } of others)
        assert.equal(metadata.namespace, space?.metadata.name, metadata.name);
    });

    it('keeps to that standard, on a read-only file system, with bounds and probes', () => {
      for (const { securityContext, containers } of deployments().map(podOf)) {
        const { runAsNonRoot, runAsUser, seccompProfile } = securityContext;
        assert.deepEqual(
          [runAsNonRoot, runAsUser, seccompProfile],
          [true, 65_532, { type: 'RuntimeDefault' }],
        );
        for (const container of containers) {
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          assert.match(JSON.stringify(container.resources), /limits.*memory.*requests.*cpu/);
          for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
            assert.equal(container[probe]?.grpc.port, 50_053, probe);
          // An image without a tag would be the newest one.
          assert.match(container.image, /:[^/:]+$/);
        }
      }
    });

    it('refers to what it renders, and to the Secrets that the README tells to make', async () => {
      const readme = await readFile(join(directory, 'README.md'), 'utf8');
      const secrets = new Set<string>();
      for (const { volumes, containers, serviceAccountName } of deployments().map(podOf)) {
        named(objects, 'ServiceAccount', serviceAccountName);
        for (const { configMap, secret } of volumes) {
          if (secret !== undefined) secrets.add(secret.secretName);
          if (configMap === undefined) continue;
          const { data = {} } = named(objects, 'ConfigMap', configMap.name);
          for (const { key } of configMap.items ?? []) assert.ok(key in data, key);
        }
        for (const { volumeMounts, env = [] } of containers) {
          for (const { name } of volumeMounts)
            assert.ok(
              volumes.some((volume) => volume.name === name),
              name,
            );
          for (const found of JSON.stringify(env).matchAll(/"secretKeyRef":\{[^}]*"name":"([^"]+)"/g))
            secrets.add(found[1] ?? '');
        }
      }
      for (const secret of secrets) {
        assert.ok(SECRETS.includes(secret), secret);
        assert.ok(readme.includes(`create secret generic ${secret}`), `the README does not make ${secret}`);
      }
    });

    it('configures what the services understand, with files that are mounted', async () => {
      for (const [name, prefix, spec] of [
        ['lom', 'LOM', LOM_SETTINGS],
        ['lmm', 'LMM', LMM_SETTINGS],
      ] as const) {
        const pod = podOf(named(objects, 'Deployment', `rune-${name}`));
        const volume = pod.volumes.find((one) => one.name === 'settings')?.configMap?.name ?? '';
        const file = join(work.path, `${name}.yaml`);
        const text = named(objects, 'ConfigMap', volume).data?.[`${name}.yaml`] ?? '';
        await writeFile(file, text);
        const env = Object.fromEntries(
          (pod.containers[0]?.env ?? []).map(({ name: variable, value }) => [
            variable,
            value?.replace('$(POD_IP)', '10.1.2.3') ?? 'postgres://rune@db.example/rune',
          ]),
        );
        const settings = readSettings(spec, { prefix, env, file });
        assert.equal(settings.metricsListen, '0.0.0.0:50054');
        assert.ok(settings.metricsAllowPlaintext || settings.allowPlaintext);
        const mounts = pod.containers.flatMap(({ volumeMounts }) =>
          volumeMounts.map(({ mountPath }) => mountPath),
        );
        const paths = [...text.matchAll(/\/(?:etc|var)\/[^\s,\]]+/g)].map(([path]) => path);
        assert.ok(paths.length > 0);
        for (const path of paths)
          assert.ok(
            mounts.some((mount) => path.startsWith(`${mount}/`)),
            path,
          );
        const cutMs = settings.shutdownGraceMs + settings.killGraceMs + 20_000;
        assert.ok(
          pod.terminationGracePeriodSeconds * 1000 > cutMs,
          'the pod is killed before its service ends',
        );
      }
    });

    it('lets only LOM and nobody else reach LMM, and only LMM the nodes', () => {
      const policy = (name: string): string => JSON.stringify(named(objects, 'NetworkPolicy', name).spec);
      assert.match(policy('rune-default-deny'), /"podSelector":\{\}.*"policyTypes":\["Ingress","Egress"\]/);
      const { ingress } = named(objects, 'NetworkPolicy', 'rune-lmm').spec as { ingress: unknown };
      assert.deepEqual(ingress, [
        {
          from: [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'rune-lom' } } }],
          ports: [{ port: 50_052 }],
        },
      ]);
      // Additive: what another policy lets in counts too.
      const others = objects.filter(
        ({ kind, metadata }) => kind === 'NetworkPolicy' && !/^rune-l[om]m$/.test(metadata.name),
      );
      assert.deepEqual(
        others.map(({ metadata }) => metadata.name),
        ['rune-default-deny', 'rune-metrics'],
      );
      const reachSsh = objects.filter(
        (one) => one.kind === 'NetworkPolicy' && /"port":22\b/.test(JSON.stringify(one)),
      );
      assert.deepEqual(
        reachSsh.map(({ metadata }) => metadata.name),
        ['rune-lmm'],
      );
    });

    it('serves metrics to scrapers alone, at a port of their own', () => {
      const { ingress } = named(objects, 'NetworkPolicy', 'rune-metrics').spec as { ingress: unknown };
      assert.deepEqual(ingress, [
        {
          from: [
            {
              namespaceSelector: { matchLabels: { 'rune/scrapers': 'allowed' } },
              podSelector: { matchLabels: { 'app.kubernetes.io/name': 'prometheus' } },
            },
          ],
          ports: [{ port: 50_054 }],
        },
      ]);
      for (const deployment of deployments()) {
        const template = deployment.spec?.['template'] as { metadata: KubeObject['metadata'] };
        const { annotations } = template.metadata;
        assert.equal(annotations?.['prometheus.io/port'], '50054');
        const ports = podOf(deployment).containers.flatMap((container) => container.ports);
        assert.ok(ports.some(({ name, containerPort }) => name === 'metrics' && containerPort === 50_054));
      }
    });

    it('has an inventory that loads', async () => {
      const file = join(work.path, 'inventory.yaml');
      await writeFile(file, named(objects, 'ConfigMap', 'rune-inventory').data?.['inventory.yaml'] ?? '');
      await loadInventory([file]);
    });
  });
}

describe('deploy/kubernetes', () => {
  let objects: KubeObject[];
  before(() => {
    objects = render('overlays/prod');
  });

  it('scales LMM by itself, and leaves its number of replicas to the autoscaler', () => {
    const scalers = objects.filter(({ kind }) => kind === 'HorizontalPodAutoscaler');
    assert.deepEqual(
      scalers.map(({ spec }) => spec?.['scaleTargetRef']),
      [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'rune-lmm' }],
    );
    assert.equal(named(objects, 'Deployment', 'rune-lmm').spec?.['replicas'], undefined);
    assert.equal(objects.filter(({ kind }) => kind === 'PodDisruptionBudget').length, 2);
  });

  it('gives LMM no Service: a balanced name would be no process', () => {
    const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name);
    assert.deepEqual(services, ['rune-lom']);
    assert.deepEqual(podOf(named(objects, 'Deployment', 'rune-lmm')).containers[0]?.env?.[1], {
      name: 'LMM_ADVERTISE',
      value: '$(POD_IP):50052',
    });
  });

  it('names the role for Systems Manager at the account of LMM alone, and lets LMM offer it', () => {
    const roles = objects.filter(({ metadata }) => metadata.annotations?.['eks.amazonaws.com/role-arn']);
    assert.deepEqual(
      roles.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      ['ServiceAccount rune-lmm'],
    );
    const { env = [] } = podOf(named(objects, 'Deployment', 'rune-lmm')).containers[0] ?? {};
    assert.equal(env.find(({ name }) => name === 'LMM_SSM_ENABLED')?.value, 'true');
  });

  it('rolls pods when settings change, and does not when the inventory does', () => {
    const maps = objects.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name);
    assert.ok(maps.includes('rune-inventory') && maps.includes('rune-bundle-site'));
    assert.equal(maps.filter((name) => /^rune-l[om]m-settings-[a-z0-9]{10}$/.test(name)).length, 2);
  });

  it('mounts a bundle that LOM can read, the way that a ConfigMap is mounted', async () => {
    const work = await makeTempDirectory();
    try {
      const pod = podOf(named(objects, 'Deployment', 'rune-lom'));
      const volume = pod.volumes.find((one) => one.name === 'bundle-site')?.configMap;
      const { data = {} } = named(objects, 'ConfigMap', volume?.name ?? '');
      // As the kubelet does it: a directory with a time in its name, and links.
      for (const { key, path } of volume?.items ?? []) {
        const file = join(work.path, '..2026_01_01', path);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, data[key] ?? '');
      }
      await symlink('..2026_01_01', join(work.path, '..data'));
      const tops = new Set((volume?.items ?? []).map(({ path }) => path.split('/')[0] ?? ''));
      for (const top of tops) await symlink(join('..data', top), join(work.path, top));
      const registry = await loadBundles([work.path], createSchemaCompiler(), () => undefined);
      assert.deepEqual(
        registry.list().map(({ capability }) => capability.action),
        ['hello'],
      );
    } finally {
      await work.remove();
    }
  });

  it('scales LMM by CPU and by runs in flight, which LMM exposes and the rule for the adapter serves', async () => {
    const metrics = JSON.stringify(named(objects, 'HorizontalPodAutoscaler', 'rune-lmm').spec?.['metrics']);
    const [, inFlight = ''] = /"name":"cpu".*"pods":\{"metric":\{"name":"([^"]+)"/.exec(metrics) ?? [];
    assert.ok(inFlight in LMM_METRICS, metrics);
    const file = join(directory, 'components/in-flight-metric/adapter-rule.yaml');
    const { rules } = parse(await readFile(file, 'utf8')) as { rules: { custom: AdapterRule[] } };
    const [rule] = rules.custom;
    assert.equal(rules.custom.length, 1);
    assert.equal(rule?.seriesQuery.split('{')[0], inFlight);
    assert.deepEqual(Object.keys(rule?.resources.overrides ?? {}), ['namespace', 'pod']);
  });

  it('would be told of a key that Kubernetes does not know, and of a value of the wrong type', async () => {
    const work = await makeTempDirectory();
    try {
      const service = named(objects, 'Service', 'rune-lom');
      const typo = { ...service, spec: { ...service.spec, selecter: {} } };
      assert.match(await typeFaults(work, [typo]), /selecter/);
      assert.notEqual(await schemaFaults({ ...service, spec: { ports: 'http' } }), undefined);
    } finally {
      await work.remove();
    }
  });
});
