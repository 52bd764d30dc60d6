// SPDX-License-Identifier: MIT
//
// Client tests: programs that speak pomelo, most of them written by others, against a running Chat cluster.
//
//   node Tests/Clients/run.mjs [--bin .build/debug] [--python .build/venv/bin/python]     a cluster of its own
//   node Tests/Clients/run.mjs --gate 3014 --page 3001                                    one that is running
//   … --only 'look: text'                                     tests whose suite and name have these words in a row

import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tests as browserTests } from './browser_chat.mjs';
import { tests as cTests } from './c_client.mjs';
import { tests as jsClientTests } from './js_client.mjs';
import { tests as pageTests } from './page_client.mjs';
import { tests as mqttTests } from './mqtt_client.mjs';
import { tests as connectorTests } from './page_connector.mjs';
import { tests as demoTests } from './page_demo.mjs';
import { tests as logTests } from './page_log.mjs';
import { tests as lookTests } from './page_look.mjs';
import { tests as originTests } from './page_origin.mjs';
import { tests as useTests } from './page_use.mjs';
import { tests as pythonTests } from './python_client.mjs';
import { tests as tlsTests } from './tls_client.mjs';
import { tests as socketTests } from './socketio_client.mjs';
import { Cluster } from './support/cluster.mjs';
import { Skip } from './support/people.mjs';

const suites = {
  'the page’s client in Node': pageTests,
  'clients in Python': pythonTests,
  'JavaScript pomelo client': jsClientTests,
  'clients in C': cTests,
  'socket.io': socketTests,
  'paho-mqtt': mqttTests,
  'Chromium': browserTests,
  'the page’s look': lookTests,
  'the page’s log': logTests,
  'the page’s use': useTests,
  'the page’s connector': connectorTests,
  'pages of other origins': originTests,
  'the public demo’s page': demoTests,
  'encrypted ports': tlsTests,
};

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values: options } = parseArgs({
  options: {
    bin: { type: 'string', default: join(root, '.build', 'debug') },
    python: { type: 'string', default: join(root, '.build', 'venv', 'bin', 'python') },
    gate: { type: 'string' },
    page: { type: 'string', default: '3001' },
    only: { type: 'string', default: '' },
  },
});

async function main() {
  const cluster = options.gate === undefined ? new Cluster(root, resolve(options.bin)) : null;
  await cluster?.start();
  await cluster?.startPage();
  const gate = cluster?.gate ?? { host: '127.0.0.1', port: Number(options.gate) };
  const pagePort = cluster?.pagePort ?? Number(options.page);
  const count = await runAll({
    cluster, gate, pagePort, root, bin: resolve(options.bin), python: resolve(options.python),
  });
  await cluster?.stop();
  if (count.skipped > 0) console.log(`${count.skipped} skipped`);
  console.log(`${count.passed} passed, ${count.failed} failed`);
  return count.failed === 0 ? 0 : 1;
}

async function runAll(world) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for (const [suite, tests] of Object.entries(suites)) {
    for (const [name, test] of Object.entries(tests)) {
      if (!`${suite}: ${name}`.includes(options.only)) continue;
      const started = Date.now();
      try {
        await test(world);
        count.passed += 1;
        console.log(`ok       ${suite}: ${name} (${Date.now() - started} ms)`);
      } catch (error) {
        const skipped = error instanceof Skip;
        count[skipped ? 'skipped' : 'failed'] += 1;
        if (skipped) console.log(`skipped: ${error.message}  ${suite}: ${name}`);
        else console.log(`FAILED   ${suite}: ${name}\n${error.stack}`);
      }
    }
  }
  return count;
}

process.on('SIGTERM', () => process.exit(143));
process.on('SIGINT', () => process.exit(130));
main().then((status) => process.exit(status), (error) => {
  console.log(`FAILED   the cluster did not start: ${error.message}`);
  console.log('0 passed, 1 failed');
  process.exit(1);
});
