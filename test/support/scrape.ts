import assert from 'node:assert/strict';
import { get } from 'node:http';
import type { ServiceProcess } from './service-process.js';

/** A metric as a service exposes it. */
export interface ScrapedMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: readonly ScrapedSample[];
}

/** One line of it; `name` has the suffixes of a histogram. */
export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What an address answers to GET. */
export interface HttpAnswer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly text: string;
}

/** Asks with GET, or another method, over plain HTTP and a connection of its own. */
export function ask(address: string, path: string, method = 'GET'): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = get({ ...hostAndPort(address), path, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode, type: response.headers['content-type'], text }),
      );
    });
    request.on('error', reject);
  });
}

function hostAndPort(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`http://${address}`);
  return { host: hostname, port: Number(port) };
}

/** Where a service process says that it serves metrics. */
export function metricsAddress({ log }: ServiceProcess): string {
  const line = log.find((one) => one.includes('"message":"metrics are served"')) ?? '';
  return (JSON.parse(line) as { address: string }).address;
}

/** The metrics of a service as Prometheus reads them, and their text. */
export async function scrape(
  address: string,
): Promise<{ text: string; metrics: ReadonlyMap<string, ScrapedMetric> }> {
  const { status, type, text } = await ask(address, '/metrics');
  assert.equal(status, 200, text);
  assert.match(type ?? '', /^text\/plain; version=0\.0\.4/);
  return { text, metrics: parse(text) };
}

/** The value with these labels among others; 0 where there is no such line. */
export function valueOf(
  metrics: ReadonlyMap<string, ScrapedMetric>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const metric = metrics.get(name) ?? metrics.get(name.replace(/_(?:count|sum|bucket)$/, ''));
  assert.ok(metric, `${name} is not exposed`);
  return metric.samples
    .filter((one) => one.name === name)
    .filter((one) => Object.entries(labels).every(([label, value]) => one.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Reads the text format, and complains of a line that is none of it. */
function parse(text: string): ReadonlyMap<string, ScrapedMetric> {
  const metrics = new Map<string, ScrapedMetric & { samples: ScrapedSample[] }>();
  let help = '';
  let current: { samples: ScrapedSample[] } | undefined;
  for (const line of text.split('\n')) {
    const [, helped] = /^# HELP \S+ (.*)$/.exec(line) ?? [];
    const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    const [, sample, labels = '', value] = /^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? [];
    if (helped !== undefined) help = helped;
    else if (name !== undefined && type !== undefined) {
      assert.ok(!metrics.has(name), `${name} twice`);
      const metric = { name, help, type, samples: [] };
      metrics.set(name, metric);
      current = metric;
    } else if (sample !== undefined) {
      const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gi)];
      assert.equal(pairs.map(([pair]) => pair).join(','), labels, line);
      current?.samples.push({
        name: sample,
        labels: Object.fromEntries(pairs.map(([, label = '', of = '']) => [label, of])),
        value: Number(value?.replace('Inf', 'Infinity')),
      });
    } else assert.equal(line, '');
  }
  return metrics;
}
