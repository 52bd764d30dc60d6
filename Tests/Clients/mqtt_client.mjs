// SPDX-License-Identifier: MIT
//
// Runs mqtt_chat.py and mqtt_routes.py: paho-mqtt as published, at Chat, over both versions of the protocol.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withCertificate } from './support/authority.mjs';
import { Cluster } from './support/cluster.mjs';

const patienceSeconds = 90;
const connectors = ['connector-server-1', 'connector-server-2'];
const steps = [
  'connect by the gate', 'subscribe', 'login', 'push', 'many pushes in order', 'keep-alive', 'kick, and come back',
  'server restart', 'reconnect', 'disconnect',
];

export const tests = {};
for (const [level, title] of [[4, 'MQTT 3.1.1'], [3, 'MQTT 3.1']]) {
  tests[`${title}: topics are routes`] = (world) => withChat(world, {}, (chat) => run(
    world, ['mqtt_chat.py', String(level), String(chat.gate.port)], steps, () => restart(chat)));
  tests[`${title}: what routes of their own answer`] = (world) => withChat(world, {
    folder: 'ChatMQTTRoutes',
    env: {
      POMELO_MQTT_PUBLISH_ROUTE: 'chat.chatHandler.send', POMELO_MQTT_SUBSCRIBE_ROUTE: 'connector.entryHandler.enter',
    },
  }, (chat) => run(
    world, ['mqtt_routes.py', String(level), String(chat.portOf(connectors[0]))], ['publish, subscribe, unsubscribe']));
}

tests['over WebSocket: topics are routes'] = (world) => withChat(world, {}, (chat) => run(
  world, ['mqtt_chat.py', '4', String(chat.gate.port)], steps, () => restart(chat), { MQTT_TRANSPORT: 'websockets' }));
for (const [way, transport] of [['TLS', 'tcp'], ['WebSocket and TLS', 'websockets']]) {
  tests[`over ${way}: topics are routes`] = (world) => withCertificate(
    ({ authority, tls }) => withChat(world, { tls }, (chat) => run(
      world, ['mqtt_chat.py', '4', String(chat.gate.port)], steps, () => restart(chat),
      { MQTT_TRANSPORT: transport, MQTT_AUTHORITY: authority })));
}

tests['the README’s lines of Python hear the answer'] = (world) => withChat(world, {}, async (chat) => {
  const readme = readFileSync(join(world.root, 'README.md'), 'utf8');
  const script = readme.match(/```python\n([^`]*paho[^]*?)```/)[1].replace('3050', chat.portOf(connectors[0]));
  // They go on until they are ended.
  const child = spawn(pythonOf(world.root), ['-u', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const impatience = setTimeout(() => child.kill(), patienceSeconds * 1000);
  let heard = '';
  for await (const text of child.stdout) {
    heard += text;
    if (heard.endsWith('\n')) child.kill();
  }
  clearTimeout(impatience);
  assert.equal(heard, "answer/1 {'users': ['ann']}\n");
});

async function withChat({ root, bin }, options, test) {
  const chat = new Cluster(root, bin, { folder: 'ChatMQTT', ...options });
  await chat.start();
  try {
    await test(chat);
  } finally {
    await chat.stop();
  }
}

async function restart(chat) {
  for (const id of connectors) await chat.end(id);
  await Promise.all(connectors.map((id) => chat.startServer(id)));
}

const pythonOf = (root) => join(root, '.build', 'venvs', 'paho', 'bin', 'python');

/** Runs a program; what it wishes for is granted, what it has done is noted. */
async function run({ root }, [program, ...words], wanted, grant, env = {}) {
  const script = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(pythonOf(root), [script, ...words], { env: { ...process.env, ...env } });
  const impatience = setTimeout(() => child.kill('SIGKILL'), patienceSeconds * 1000);
  const seen = [];
  let output = '';
  child.stderr.on('data', (text) => { output += text; });
  createInterface({ input: child.stdout }).on('line', async (line) => {
    if (line.startsWith('- ')) return seen.push(line.slice(2));
    if (!line.startsWith('> ')) return output += `${line}\n`;
    try {
      await grant(line.slice(2));
      child.stdin.write('done\n');
    } catch (error) {
      output += `${error.stack}\n`;
      child.stdin.end();
    }
  });
  const status = await new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  clearTimeout(impatience);
  assert.equal(status, 0, `after ${seen.at(-1) ?? 'nothing'}: ${output}`);
  assert.deepEqual(seen, wanted);
}
