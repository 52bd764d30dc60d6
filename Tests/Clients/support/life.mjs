// SPDX-License-Identifier: MIT
//
// Everything that may happen to a client of Chat, the same for each: connect by the gate, log in, ask, be pushed to, be
// kicked, see the server restart, come back, leave.
//
// A person is what `connect(host, port)` makes: `connected()`, `ask(route, body)`, `tell(route, body)`, `heard(route)`,
// `kicked()`, `lost()`, `forget()`, `leave()`. `comesBack`: its client connects again by itself. `sign`: a character of
// what is said.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from './cluster.mjs';

const connectors = ['connector-server-1', 'connector-server-2'];
const names = ['ann', 'bob', 'cleo', 'dora', 'emil', 'fay', 'gus', 'hana'];
const room = 'life';
const many = 100;

/** Longer than the server's patience with who keeps silent: two heartbeats. */
const quietMilliseconds = 8000;

/** Lives through all of it, at a Chat of its own. */
export async function live({ root, bin }, { folder, connect, comesBack = false, sign = '😀', cluster = {} }) {
  // On a machine that stalls, who does not answer in time is no server that is gone, and nobody shall miss a push.
  const env = { POMELO_RPC_SUSPECT_AFTER_MISSES: '15', ...cluster.env };
  const chat = new Cluster(root, bin, { folder, ...cluster, env });
  await chat.start();
  try {
    const open = async (entry) => {
      const person = await connect('127.0.0.1', entry.port);
      await person.connected();
      return person;
    };
    await new Life({ chat, open, comesBack, sign }).run();
  } finally {
    await chat.stop();
  }
}

class Life {
  constructor(world) {
    Object.assign(this, world);
  }

  async run() {
    for (const step of ['connect', 'logIn', 'request', 'push', 'kick', 'restart', 'leave']) {
      try {
        await this[step]();
      } catch (error) {
        error.stack = `at “${step}”: ${error.stack}`;
        throw error;
      }
    }
  }

  /** Two who are sent to two connectors. */
  async connect() {
    const asker = await this.open({ port: this.chat.gate.port });
    const entries = [];
    for (const uid of names) {
      const entry = await asker.ask('gate.gateHandler.queryEntry', { uid });
      assert.equal(entry.code, 200);
      entries.push({ uid, ...entry });
    }
    const first = entries[0];
    const second = entries.find(({ port }) => port !== first.port);
    assert.ok(second, 'the gate sent all to one connector');
    assert.deepEqual(await asker.ask('gate.gateHandler.queryEntry', { uid: '' }), { code: 500 });
    await asker.leave();
    [this.annEntry, this.bobEntry] = [first, second];
    [this.annName, this.bobName] = [first.uid, second.uid];
    this.ann = await this.open(first);
    this.bob = await this.open(second);
  }

  async enter(person, username) {
    const answer = await person.ask('connector.entryHandler.enter', { username, rid: room });
    assert.ok(Array.isArray(answer.users), `enter: ${JSON.stringify(answer)}`);
    return [...answer.users].sort();
  }

  async logIn() {
    assert.deepEqual(await this.enter(this.ann, this.annName), [this.annName]);
    assert.deepEqual(await this.enter(this.bob, this.bobName), [this.annName, this.bobName].sort());
    assert.deepEqual(await this.ann.heard('onAdd'), { user: this.bobName });
    const answer = await this.ann.ask('connector.entryHandler.enter', { username: this.annName, rid: room });
    assert.equal(answer.code, 500, 'a session enters once');
  }

  /** Says something to all, and both hear it. */
  async say(content) {
    assert.deepEqual(await this.ann.ask('chat.chatHandler.send', { content, target: '*' }), {});
    const said = { msg: content, from: this.annName, target: '*' };
    for (const person of [this.ann, this.bob]) assert.deepEqual(await person.heard('onChat'), said);
  }

  async request() {
    const words = ['hello', '', `哈哈, Grüße, ${this.sign}`, '"\\', 'x'.repeat(10_000)];
    for (const content of words) await this.say(content);
    const whisper = { content: 'psst', target: this.annName };
    assert.deepEqual(await this.bob.ask('chat.chatHandler.send', whisper), {});
    assert.deepEqual(await this.ann.heard('onChat'), { msg: 'psst', from: this.bobName, target: this.annName });
    const both = [this.annName, this.bobName].sort();
    assert.deepEqual(await this.bob.ask('chat.chatHandler.list', {}), { users: both });
    const toNobody = { content: 'hello?', target: 'nobody' };
    assert.deepEqual(await this.bob.ask('chat.chatHandler.send', toNobody), { code: 404 });
    assert.equal((await this.bob.ask('chat.chatHandler.none', {})).code, 500);
  }

  async push() {
    for (let number = 0; number < many; number += 1) {
      this.bob.tell('chat.chatHandler.send', { content: `${number} ${this.sign}`, target: '*' });
    }
    for (const person of [this.ann, this.bob]) {
      for (let number = 0; number < many; number += 1) {
        assert.equal((await person.heard('onChat')).msg, `${number} ${this.sign}`);
      }
    }
    await pause(quietMilliseconds);
    await this.say('still here');
  }

  /** Nobody's method has this name, and who asks for it is thrown out; it stays away until somebody wants it back. */
  async kick() {
    this.bob.tell('chat.chatHandler.constructor', {});
    const why = await this.bob.kicked();
    assert.deepEqual(why ?? { reason: 'attack' }, { reason: 'attack' });
    assert.deepEqual(await this.ann.heard('onLeave'), { user: this.bobName });
    await this.bob.leave();
    this.bob = await this.open(this.bobEntry);
    assert.deepEqual(await this.enter(this.bob, this.bobName), [this.annName, this.bobName].sort());
    assert.deepEqual(await this.ann.heard('onAdd'), { user: this.bobName });
    await this.say('welcome back');
  }

  async restart() {
    for (const id of connectors) await this.chat.end(id);
    await Promise.all([this.ann.lost(), this.bob.lost()]);
    await Promise.all(connectors.map((id) => this.chat.startServer(id)));
    if (this.comesBack) {
      await Promise.all([this.ann.connected(), this.bob.connected()]);
    } else {
      await Promise.all([this.ann.leave(), this.bob.leave()]);
      this.ann = await this.open(this.annEntry);
      this.bob = await this.open(this.bobEntry);
    }
    await this.enter(this.ann, this.annName);
    assert.deepEqual(await this.enter(this.bob, this.bobName), [this.annName, this.bobName].sort());
    for (const person of [this.ann, this.bob]) person.forget();
    await this.say('we are back');
  }

  async leave() {
    await this.bob.leave();
    assert.deepEqual(await this.ann.heard('onLeave'), { user: this.bobName });
    await this.ann.leave();
  }
}
