// SPDX-License-Identifier: MIT
//
// Clients of socket.io of three generations, as published: at LessonChat socketio_lesson.py, socketio_tutorial.py and
// the README's lines, at Chat, one of whose connectors crashes, socketio_crash.py.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Cluster, canListen, freePort } from './support/cluster.mjs';

const patienceSeconds = 90;
const steps = [
  'connect', 'login', 'request', 'push', 'many pushes in order', 'kick', 'come back after the kick', 'server restart',
  'reconnect', 'disconnect',
];

const crashSteps = ['connect, enter, push', 'notice the crash', 'reconnect', 'no ghost', 'enter, push'];

/** The names of virtual environments that `./dev` makes, and what is in them. */
const clients = {
  'socketio-5': { title: 'python-socketio 5, Engine.IO 4', kind: 'new', polling: 'polling', upgrades: true },
  'socketio-4': { title: 'python-socketio 4, Engine.IO 3', kind: 'new', polling: 'polling', upgrades: true },
  'socketio-09': { title: 'socketIO-client, socket.io 0.9', kind: 'old', polling: 'xhr-polling', upgrades: false },
};

export const tests = {
  'the tutorial as written: connect, login, send': async (world) => {
    // Its configuration as it stands, its port too unless somebody has it.
    const file = join(world.root, 'config', 'lesson', 'servers.json');
    const wanted = JSON.parse(readFileSync(file, 'utf8')).development.connector[0].clientPort;
    const ports = (await canListen(wanted)) ? { connector: wanted } : {};
    const lesson = new Cluster(world.root, world.bin, { program: 'LessonChat', config: 'config/lesson', ports });
    await lesson.start();
    try {
      await run(world, 'socketio-09', ['socketio_tutorial.py', String(lesson.gate.port)], () => {});
    } finally {
      await lesson.stop();
    }
  },
  'the README’s lines of Python hear the push and the answer': (world) => withLesson(world, async (lesson) => {
    const readme = readFileSync(join(world.root, 'README.md'), 'utf8');
    const script = readme.match(/```python\n([^]*?)```/)[1].replace('3010', lesson.gate.port);
    // They go on until they are ended.
    const words = ['-u', '-c', script];
    const child = spawn(pythonOf(world.root, 'socketio-5'), words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const impatience = setTimeout(() => child.kill(), patienceSeconds * 1000);
    // Each is heard in a thread of its own: which prints first, and whose line ends where, is theirs to say.
    const expected = ["{'route': 'onJoin', 'body': {'userId': 'ann'}}", "{'id': 1, 'body': {'code': 0, 'message': '登录成功'}}"];
    let heard = '';
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout) {
      heard += text;
      if (expected.every((words) => heard.includes(words))) child.kill();
    }
    clearTimeout(impatience);
    assert.equal(heard.replaceAll('\n', '').length, expected.join('').length, heard);
    for (const words of expected) assert.ok(heard.includes(words), heard);
  }),
};

for (const [name, { title, kind, polling, upgrades }] of Object.entries(clients)) {
  const ways = { websocket: 'websocket', polling };
  if (upgrades) ways.upgrade = `${polling},websocket`;
  for (const [way, transports] of Object.entries(ways)) {
    tests[`${title}, ${way}`] = (world) => withLesson(world, (lesson) => {
      const words = ['socketio_lesson.py', kind, transports, String(lesson.gate.port)];
      return runSteps(world, name, words, (wish) => grant(lesson, wish), steps);
    });
    tests[`${title}, ${way}, and a crash`] = (world) => withChat(world, (chat) => {
      const words = ['socketio_crash.py', kind, transports, ...chatConnectors.map((id) => String(chat.ports[id]))];
      return runSteps(world, name, words, (wish) => crash(chat, wish), crashSteps);
    });
  }
}

async function runSteps(world, name, words, grantWish, wanted) {
  const seen = [];
  try {
    await run(world, name, words, grantWish, seen);
    assert.deepEqual(seen, wanted);
  } catch (error) {
    error.stack = `after ${seen.at(-1) ?? 'nothing'}: ${error.stack}`;
    throw error;
  }
}

let running = null;

/** LessonChat with polling too, one for all tests. */
async function withLesson({ root, bin }, test) {
  running ??= start(root, bin);
  await test(await running);
}

async function start(root, bin) {
  const env = { POMELO_SOCKETIO_TRANSPORTS: '["websocket", "polling"]' };
  const lesson = new Cluster(root, bin, { program: 'LessonChat', config: 'config/lesson', env });
  await lesson.start();
  return lesson;
}

const chatConnectors = ['connector-server-1', 'connector-server-2'];
let chatting = null;

/** Chat, one for all tests; what clients ask its gate for is known here. */
async function withChat({ root, bin }, test) {
  chatting ??= (async () => {
    const ports = { [chatConnectors[0]]: await freePort(), [chatConnectors[1]]: await freePort() };
    const chat = new Cluster(root, bin, { folder: 'ChatCrash', ports });
    await chat.start();
    return chat;
  })();
  await test(await chatting);
}

/** As of a process that is killed, and of who watches it and starts it again at once. */
async function crash(chat, wish) {
  assert.equal(wish, 'crash the connector');
  await chat.kill(chatConnectors[0]);
  await chat.startServer(chatConnectors[0]);
}

async function grant(lesson, wish) {
  assert.equal(wish, 'restart the connector');
  await lesson.end('connector');
  await lesson.startServer('connector');
}

const pythonOf = (root, name) => join(root, '.build', 'venvs', name, 'bin', 'python');

/** Runs a program in a virtual environment; its wishes are granted, its steps noted. */
async function run({ root }, name, [program, ...words], grantWish, seen = []) {
  const python = pythonOf(root, name);
  const script = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(python, [script, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  const impatience = setTimeout(() => child.kill('SIGKILL'), patienceSeconds * 1000);
  let output = '';
  child.stderr.on('data', (text) => { output += text; });
  createInterface({ input: child.stdout }).on('line', async (line) => {
    if (line.startsWith('- ')) return seen.push(line.slice(2));
    if (!line.startsWith('> ')) return output += `${line}\n`;
    try {
      await grantWish(line.slice(2));
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
  assert.equal(status, 0, output);
}
