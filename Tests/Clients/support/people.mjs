// SPDX-License-Identifier: MIT
//
// What every client test needs: the page's own client in Node, the way in through the gate, and waiting for pushes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { NodeWebSocket } from './websocket.mjs';

const source = readFileSync(new URL('../../../ChatPage/Sources/Page/client.js', import.meta.url), 'utf8');

// Served to browsers as a module; Node 18 takes a .js file outside a package for CommonJS, so import the text.
const { PomeloClient } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

export const deadlineSeconds = 15;

export function newClient(seconds = deadlineSeconds) {
  return new PomeloClient({ WebSocket: NodeWebSocket, deadlineSeconds: seconds });
}

/** Asks the gate where `uid` shall connect. */
export async function askGate(gate, uid) {
  const client = newClient();
  await client.init(gate.host, gate.port);
  const answer = await client.request('gate.gateHandler.queryEntry', { uid });
  client.disconnect();
  return answer;
}

/** Two names that the gate sends to two different connectors. */
export async function namesOnTwoConnectors(gate) {
  const names = ['ann', 'bob', 'cleo', 'dora', 'emil', 'fay', 'gus', 'hana', 'ivo', 'joan', 'kim', 'lea'];
  const first = await askGate(gate, names[0]);
  for (const name of names.slice(1)) {
    const { port } = await askGate(gate, name);
    if (port !== first.port) return [names[0], name];
  }
  assert.fail('the gate sent twelve names to one connector');
}

/** Goes through the gate and enters; resolves with the client, its first list of users, and its inbox. */
export async function enter(gate, username, rid) {
  const entry = await askGate(gate, username);
  assert.equal(entry.code, 200, `queryEntry: ${JSON.stringify(entry)}`);
  const client = newClient();
  const inbox = new Inbox(client, ['onChat', 'onAdd', 'onLeave', 'disconnect']);
  await client.init(entry.host, entry.port);
  const answer = await client.request('connector.entryHandler.enter', { username, rid });
  assert.ok(Array.isArray(answer.users), `enter: ${JSON.stringify(answer)}`);
  return { client, users: answer.users, inbox, entry };
}

/** Everything a client is pushed, kept in order until somebody asks for it. */
export class Inbox {
  #arrived = [];
  #wake = () => {};

  constructor(client, routes) {
    for (const route of routes) {
      client.on(route, (body) => {
        this.#arrived.push({ route, body });
        this.#wake();
      });
    }
  }

  /** The next push of a route; other routes stay where they are. */
  async next(route) {
    const end = Date.now() + deadlineSeconds * 1000;
    for (;;) {
      const index = this.#arrived.findIndex((push) => push.route === route);
      if (index >= 0) return this.#arrived.splice(index, 1)[0].body;
      const left = end - Date.now();
      assert.ok(left > 0, `no ${route} within ${deadlineSeconds} s; arrived: ${JSON.stringify(this.#arrived)}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** How many pushes of a route nobody has asked for yet. */
  count(route) {
    return this.#arrived.filter((push) => push.route === route).length;
  }
}

/** Thrown by a test that has nothing to test; the runner says so and goes on. */
export class Skip extends Error {}
