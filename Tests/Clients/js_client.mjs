// SPDX-License-Identifier: MIT
//
// An unmodified JavaScript pomelo client for browsers, from the folder that POMELO_JS_CLIENT names: in Node, and in
// Chromium. The folder may hold one built file (build.js) or the parts, each where it is published: component-emitter
// or emitter, pomelo-protocol, pomelo-protobuf, and the client.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import vm from 'node:vm';
import { Browser, findChromium } from './support/browser.mjs';
import { dictionary, send, withSchemas } from './support/codes.mjs';
import { serve } from './support/folder.mjs';
import { live } from './support/life.mjs';
import { Skip, deadlineSeconds } from './support/people.mjs';
import { NodeWebSocket } from './support/websocket.mjs';

export const tests = {
  'in Node': async (world) => {
    const parts = given();
    await live(world, { folder: 'Chat-js', connect: (host, port) => new Person(load(parts), host, port) });
  },

  'in Chromium': (world) => inChromium(world, { folder: 'Chat-js-page' }, ({ sent, received }) => {
    assert.ok(sent.includes(`${send}{"content":"hello"`), 'routes are text');
    assert.ok(received.includes('onChat{"msg":"hello"'), 'bodies are JSON');
  }),

  'in Chromium, with the route dictionary': (world) => inChromium(world, {
    folder: 'Chat-js-dictionary', cluster: { env: dictionary },
  }, ({ sent, received }) => {
    assert.ok(!sent.includes(send) && sent.includes('\x02{"content":"hello"'), 'requests carry codes');
    assert.ok(received.includes('\x07\x00\x06{"msg":"hello"'), 'pushes carry codes');
  }),

  'in Chromium, with schemas': (world) => {
    const { checkout, scripts } = given();
    const source = readFileSync(join(checkout, scripts.at(-1).file), 'utf8');
    const library = readFileSync(join(checkout, scripts.at(-2).file), 'utf8');
    if (source.includes('protobuf.decodeStr') && !library.includes('Protobuf.decodeStr')) {
      throw new Skip('this client asks pomelo-protobuf for decodeStr, which the one for browsers does not have');
    }
    // What is beyond U+FFFF it garbles, whoever serves it.
    const options = { folder: 'Chat-js-schemas', sign: '☺', cluster: withSchemas() };
    return inChromium(world, options, ({ sent, received }) => {
      assert.ok(sent.includes('hello') && !sent.includes('"content"'), 'requests are no JSON');
      assert.ok(received.includes('hello') && !received.includes('"msg":"'), 'pushes are no JSON');
      assert.ok(!received.includes('"host":"'), 'answers are no JSON');
      assert.match(sent, /"protoVersion":"/, 'who comes back has the schemas');
    });
  },
};

/** In pages of one browser, each of which has its own storage; then looks at all that went over their WebSockets. */
async function inChromium(world, options, look) {
  const { checkout, scripts } = given();
  const chromium = findChromium();
  if (chromium === null) throw new Skip('Chromium is not installed');
  const browser = new Browser(chromium);
  const files = await serve({ folder: checkout });
  const page = await serve({ page: html(scripts, `${files.origin}/`) });
  const said = { sent: '', received: '' };
  try {
    await live(world, {
      ...options,
      comesBack: true,
      connect: async (host, port) => {
        const tab = await browser.open(page.origin);
        await tab.until('window.pomelo');
        const close = async () => {
          for (const way of Object.keys(said)) said[way] += tab[way].join('\n');
          await tab.send('Page.close');
        };
        return new Person({ evaluate: (expression) => tab.evaluate(expression), close }, host, port, true);
      },
    });
    look(said);
  } finally {
    await browser.close();
    files.close();
    page.close();
  }
}

/** A person that lives in a room of its own: a page, or a context of Node. */
class Person {
  #room;
  #begun;

  constructor(room, host, port, reconnect = false) {
    this.#room = room;
    this.#begun = this.#run(`(${begin})(${JSON.stringify({ host, port, reconnect, deadlineSeconds })})`);
  }

  async connected() {
    await this.#begun;
    await this.#next('connected');
  }

  ask(route, body) {
    return this.#run(`person.ask(${JSON.stringify(route)}, ${JSON.stringify(body)})`);
  }

  tell(route, body) {
    return this.#run(`pomelo.notify(${JSON.stringify(route)}, ${JSON.stringify(body)})`);
  }

  heard(route) {
    return this.#next(route);
  }

  kicked() {
    return this.#next('onKick');
  }

  lost() {
    return this.#next('disconnect');
  }

  forget() {
    return this.#run('person.forget()');
  }

  leave() {
    return this.#room.close();
  }

  #next(event) {
    return this.#run(`person.next(${JSON.stringify(event)})`);
  }

  #run(expression) {
    return this.#room.evaluate(expression);
  }
}

/** In the room: notes what the client tells, and connects. */
function begin({ host, port, reconnect, deadlineSeconds }) {
  const { pomelo } = window;
  let arrived = [];
  let waiting = [];
  const note = (event, body = null) => {
    const first = waiting.find((one) => one.event === event);
    if (first === undefined) return arrived.push({ event, body });
    waiting = waiting.filter((one) => one !== first);
    first.resolve(body);
  };
  window.person = {
    next: (event) => new Promise((resolve, reject) => {
      const found = arrived.find((one) => one.event === event);
      if (found !== undefined) {
        arrived = arrived.filter((one) => one !== found);
        return resolve(found.body);
      }
      waiting.push({ event, resolve });
      // To come back takes the client 5 s, then 10 more.
      const seconds = event === 'connected' ? 4 * deadlineSeconds : deadlineSeconds;
      setTimeout(() => reject(new Error(`no ${event}; arrived: ${JSON.stringify(arrived)}`)), seconds * 1000);
    }),
    ask: (route, body) => new Promise((resolve) => pomelo.request(route, body, resolve)),
    forget: () => { arrived = []; },
  };
  for (const event of ['onAdd', 'onChat', 'onLeave', 'onKick']) pomelo.on(event, (body) => note(event, body));
  for (const event of ['disconnect', 'error', 'io-error']) pomelo.on(event, () => note(event));
  pomelo.init({ host, port, reconnect, log: false }, () => note('connected'));
}

/** A fresh copy of the client in a fresh `window` of Node: the original keeps its connection in module variables. */
function load({ checkout, scripts }) {
  const window = vm.createContext({
    WebSocket: NodeWebSocket, Uint8Array, ArrayBuffer, setTimeout, clearTimeout, console: quietConsole,
    localStorage: { getItem: () => null, setItem: () => {} },
  });
  window.window = window;
  for (const { file, before, after } of scripts) {
    vm.runInContext(before, window);
    vm.runInContext(readFileSync(join(checkout, file), 'utf8'), window, { filename: file });
    vm.runInContext(after, window);
  }
  return {
    evaluate: async (expression) => {
      const value = await vm.runInContext(expression, window);
      // Objects made in another realm; a copy makes them comparable with ours.
      return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
    },
    close: async () => vm.runInContext('pomelo.disconnect()', window),
  };
}

function html(scripts, base) {
  const script = ({ file, before, after }) =>
    `<script>${before}</script><script src="${base}${file}"></script><script>${after}</script>`;
  return `<!DOCTYPE html><title>client</title>${scripts.map(script).join('\n')}`;
}

/** The checkout, and its scripts in the order of loading, each with what is said before and after it. */
function given() {
  const checkout = process.env.POMELO_JS_CLIENT;
  if (!checkout) throw new Skip('not given');
  const all = walk(checkout).map((file) => relative(checkout, file)).sort();
  const built = all.find((file) => /(^|\/)build\.js$/.test(file));
  if (built !== undefined) {
    return { checkout, scripts: [{ file: built, before: '', after: 'if (!window.pomelo) require("boot");' }] };
  }
  // What boot.js of the public demos does with each part.
  const parts = [
    [/emitter[^/]*(\/index)?\.js$/, 'EventEmitter'], [/(^|\/)protocol\.js$/, 'Protocol'],
    [/(^|\/)client\/protobuf\.js$|^protobuf\.js$/, 'protobuf'], [/(^|\/)pomelo-?client\.js$/, 'pomelo'],
  ];
  const scripts = parts.map(([pattern, name]) => {
    const file = all.find((path) => pattern.test(path) && !/(^|\/)test\//.test(path));
    assert.ok(file, `${checkout} has no file like ${pattern}`);
    // One written for CommonJS finds `module`; one for browsers finds `window`, and leaves `module` as it is.
    const after = `if (Object.keys(module.exports).length || typeof module.exports === 'function') `
      + `window.${name} = module.exports;`;
    return { file, before: 'window.module = { exports: {} };', after };
  });
  return { checkout, scripts };
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
