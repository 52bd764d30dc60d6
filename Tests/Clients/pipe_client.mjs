// SPDX-License-Identifier: MIT
//
// The example PipeChat as a process of its own, and programs that speak its lines over its Unix-domain socket.
//
//   node Tests/Clients/pipe_client.mjs <socket>      the conversation alone, with a server that is running

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const patienceMs = 20_000;

/** A client of the lines: requests are answered by id, everything else comes from `next`. */
export class PipeClient {
  #socket;
  #others = [];
  #answers = new Map();
  #waiters = [];
  #lastId = 0;

  static async connect(path) {
    const client = new PipeClient();
    client.#socket = connect(path);
    await new Promise((resolve, reject) => client.#socket.once('connect', resolve).once('error', reject));
    client.#socket.on('error', () => {});
    createInterface({ input: client.#socket }).on('line', (line) => client.#receive(JSON.parse(line)));
    client.closed = new Promise((resolve) => client.#socket.once('close', resolve));
    return client;
  }

  #receive(message) {
    if (message.id !== undefined) this.#answers.get(message.id)?.(message.body);
    else if (this.#waiters.length > 0) this.#waiters.shift()(message);
    else this.#others.push(message);
  }

  write(text) { this.#socket.write(text); }

  request(route, body) {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise((resolve) => this.#answers.set(id, resolve));
    this.write(`${JSON.stringify({ id, route, body })}\n`);
    return within(answer, `an answer to ${route}`);
  }

  notify(route, body) { this.write(`${JSON.stringify({ route, body })}\n`); }

  next() {
    const message = this.#others.shift();
    if (message) return Promise.resolve(message);
    return within(new Promise((resolve) => this.#waiters.push(resolve)), 'a message');
  }

  leave() { this.#socket.end(); }
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMs} ms`)), patienceMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Two programs chat; a third says nonsense and disturbs nobody. */
export async function converse(path) {
  const [ann, bob, stranger] = [await PipeClient.connect(path), await PipeClient.connect(path),
    await PipeClient.connect(path)];
  // What is in no connection's hands yet is answered before anything is said to all.
  for (const one of [ann, bob, stranger]) {
    assert.deepEqual(await one.request('chat.chatHandler.none', {}), { code: 500 });
  }
  assert.deepEqual(await ann.request('chat.chatHandler.say', { text: 'hé 中 "\n"' }), {});
  for (const one of [ann, bob, stranger]) {
    assert.deepEqual(await one.next(), { route: 'onSay', body: { text: 'hé 中 "\n"' } });
  }
  stranger.write('no JSON\n[]\n{"route":7}\n\n');
  const line = `${JSON.stringify({ id: 77, route: 'chat.chatHandler.say', body: { text: 'in halves' } })}\n`;
  for (const part of [line.slice(0, 20), line.slice(20), line.replace('in halves', 'at once').repeat(2)]) {
    bob.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const text of ['in halves', 'at once', 'at once']) {
    for (const one of [ann, bob]) assert.deepEqual(await one.next(), { route: 'onSay', body: { text } });
  }
  stranger.write('x'.repeat(200_000));
  let last;
  do { last = await stranger.next(); } while (!last.closed);
  assert.match(last.closed, /LineTooLong/);
  await within(stranger.closed, 'the end of who says too much');
  ann.notify('chat.chatHandler.say', { text: 'bye' });
  assert.deepEqual(await bob.next(), { route: 'onSay', body: { text: 'bye' } });
  ann.leave();
  await within(ann.closed, 'the end of who leaves');
  return bob;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bob = await converse(process.argv[2]);
  console.log('served');
  // The server's end, which whoever runs this brings about.
  assert.match((await bob.next()).closed, /server stopped/);
  await within(bob.closed, 'the end');
  console.log('told');
}
