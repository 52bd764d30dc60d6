// SPDX-License-Identifier: MIT
//
// An unmodified JavaScript pomelo client for browsers, from the folder that POMELO_JS_CLIENT names. The folder may
// hold one built file (build.js) or the parts: emitter, protocol.js, protobuf.js, pomelo-client.js.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import vm from 'node:vm';
import { Inbox, Skip, namesOnTwoConnectors } from './support/people.mjs';
import { NodeWebSocket } from './support/websocket.mjs';

export const tests = {
  'gate, enter, send, push': async ({ gate }) => {
    const folder = process.env.POMELO_JS_CLIENT;
    if (!folder) throw new Skip('not given');
    const [annName, bobName] = await namesOnTwoConnectors(gate);
    const ann = await enter(folder, gate, annName);
    const bob = await enter(folder, gate, bobName);
    assert.deepEqual([...bob.users].sort(), [annName, bobName].sort());
    assert.deepEqual(await ann.inbox.next('onAdd'), { user: bobName });

    assert.deepEqual(await ask(bob.pomelo, 'chat.chatHandler.send', { content: 'hello', target: '*' }), {});
    const said = { msg: 'hello', from: bobName, target: '*' };
    assert.deepEqual(await ann.inbox.next('onChat'), said);
    assert.deepEqual(await bob.inbox.next('onChat'), said);

    // Longer than the server's patience of two heartbeats: the client must have kept the connection alive.
    await new Promise((resolve) => setTimeout(resolve, 8000));
    assert.deepEqual(await ask(ann.pomelo, 'chat.chatHandler.send', { content: 'still here', target: bobName }), {});
    assert.deepEqual(await bob.inbox.next('onChat'), { msg: 'still here', from: annName, target: bobName });

    bob.pomelo.disconnect();
    assert.deepEqual(await ann.inbox.next('onLeave'), { user: bobName });
    ann.pomelo.disconnect();
  },
};

async function enter(folder, gate, username) {
  const asker = await connect(folder, gate.host, gate.port);
  const entry = await ask(asker, 'gate.gateHandler.queryEntry', { uid: username });
  assert.equal(entry.code, 200);
  asker.disconnect();
  const pomelo = await connect(folder, entry.host, entry.port);
  const inbox = new Inbox(pomelo, ['onAdd', 'onChat', 'onLeave']);
  const { users } = await ask(pomelo, 'connector.entryHandler.enter', { username, rid: 'js-room' });
  return { pomelo, inbox, users };
}

async function connect(folder, host, port) {
  const pomelo = load(folder);
  await new Promise((resolve, reject) => {
    for (const event of ['error', 'io-error']) pomelo.on(event, (problem) => reject(new Error(String(problem))));
    pomelo.init({ host, port, log: false }, resolve);
  });
  return pomelo;
}

// The client's objects are made in another realm; a copy makes them comparable with ours.
function ask(pomelo, route, body) {
  return new Promise((resolve) => pomelo.request(route, body, (answer) => resolve(copy(answer))));
}

function copy(value) {
  return JSON.parse(JSON.stringify(value));
}

/** A fresh copy of the client in a fresh `window`: the original keeps its connection in module variables. */
function load(folder) {
  const files = scripts(folder);
  const window = vm.createContext({
    WebSocket: NodeWebSocket, Uint8Array, ArrayBuffer, setTimeout, clearTimeout, console: quietConsole,
    localStorage: { getItem: () => null, setItem: () => {} },
  });
  window.window = window;
  for (const file of files) {
    // A part written for CommonJS finds `module` and `exports`; one for browsers finds `window`.
    const name = file.split('/').pop();
    const source = readFileSync(file, 'utf8');
    const isEmitter = /emitter|^index\.js$/.test(name) || /component-emitter/.test(file);
    if (isEmitter) {
      window.EventEmitter = vm.runInContext(`(function (module, exports) {${source}\nreturn module.exports;})`, window)(
        ...moduleObjects());
    } else {
      window.module = { exports: {} };
      vm.runInContext(source, window, { filename: file });
    }
    if (name.startsWith('build')) vm.runInContext('if (!window.pomelo) require("boot");', window);
  }
  assert.ok(window.pomelo, `no window.pomelo after loading ${files.join(', ')}`);
  const { on } = window.pomelo;
  window.pomelo.on = (event, listener) => on.call(window.pomelo, event, (body) => listener(body && copy(body)));
  return window.pomelo;
}

function moduleObjects() {
  const module = { exports: {} };
  return [module, module.exports];
}

function scripts(folder) {
  const all = walk(folder);
  const pick = (pattern) => all.find((file) => pattern.test(file));
  const built = pick(/\/build\.js$/);
  if (built !== undefined) return [built];
  const parts = [/emitter[^/]*(\/index)?\.js$/, /\/protocol\.js$/, /\/protobuf\.js$/, /\/pomelo-?client\.js$/];
  return parts.map((pattern) => pick(pattern) ?? assert.fail(`${folder} has no file like ${pattern}`));
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return walk(path);
    return entry.name.endsWith('.js') ? [path] : [];
  });
}

/** The original tells its console about every close. */
const quietConsole = { log() {}, warn() {}, error() {} };
