import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { RuneError } from '../../services/shared/errors.js';
import { runService } from '../../services/shared/process/run-service.js';
import { SERVICE_SETTINGS } from '../../services/shared/settings/service-settings.js';
import {
  choiceSetting,
  durationSetting,
  integerSetting,
  textSetting,
} from '../../services/shared/settings/settings.js';

// A service that does nothing but start, stop and fail in the way that its settings say; for tests of the harness.
const MODES = ['ok', 'refuse', 'throw', 'crash', 'reject', 'stop-hangs', 'stop-fails', 'chatty'] as const;

await runService(
  {
    name: 'rune-tiny',
    summary: 'a service for tests',
    prefix: 'TINY',
    settings: {
      ...SERVICE_SETTINGS,
      mode: choiceSetting(MODES, { name: 'mode', default: 'ok', doc: 'How it behaves.' }),
      secret: textSetting({ name: 'secret', secret: true, doc: 'Never shown.' }),
      margin: durationSetting({ name: 'margin', default: '5s', min: '0ms', max: '5s', doc: 'To stop in.' }),
      lines: integerSetting({
        name: 'lines',
        default: 0,
        min: 0,
        max: 1_000_000,
        doc: 'Lines to log at the start.',
      }),
    },
    stopMarginMs: ({ margin }) => margin,
    async start({ mode, lines }, { logger }) {
      if (mode === 'refuse') throw new RuneError('CONFIGURATION_INVALID', 'Cannot listen on 1.2.3.4:5: no.');
      if (mode === 'throw') throw new Error('a plain fault');
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      for (let n = 1; n <= lines; n += 1) logger.info('line', { n, text: 'x'.repeat(200) });
      const fault = new Error('an unexpected fault');
      if (mode === 'crash')
        setImmediate(() => {
          throw fault;
        });
      if (mode === 'reject') void Promise.reject(fault);
      process.on('message', (order) => {
        process.send?.({ order, rssBytes: process.memoryUsage.rss() });
        if (order === 'log') logger.info('as told');
      });
      return {
        address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
        async stop() {
          if (mode === 'stop-fails') throw new Error('the stop failed');
          if (mode === 'stop-hangs') await new Promise(() => undefined);
          server.close();
        },
      };
    },
  },
  { argv: process.argv.slice(2), env: process.env },
);
