// SPDX-License-Identifier: MIT
//
// The page's own client in Node, against the contract of the Chat example.

import assert from 'node:assert/strict';
import { askGate, enter, namesOnTwoConnectors, newClient } from './support/people.mjs';

export const tests = {
  'the gate sends the same name to the same connector': async ({ gate }) => {
    const [first, second] = [await askGate(gate, 'ann'), await askGate(gate, 'ann')];
    assert.deepEqual(first, second);
    assert.deepEqual(Object.keys(first).sort(), ['code', 'host', 'id', 'port']);
  },

  'the gate refuses an empty name': async ({ gate }) => {
    assert.deepEqual(await askGate(gate, ''), { code: 500 });
    assert.deepEqual(await askGate(gate, undefined), { code: 500 });
  },

  'two people on two connectors chat with all and with one': async ({ gate }) => {
    const [annName, bobName] = await namesOnTwoConnectors(gate);
    const ann = await enter(gate, annName, 'node-room');
    assert.deepEqual(ann.users, [annName]);
    const bob = await enter(gate, bobName, 'node-room');
    assert.notEqual(ann.entry.port, bob.entry.port);
    assert.deepEqual([...bob.users].sort(), [annName, bobName].sort());
    assert.deepEqual(await ann.inbox.next('onAdd'), { user: bobName });

    const aloud = { content: 'schöne grüße 🍈', target: '*' };
    assert.deepEqual(await ann.client.request('chat.chatHandler.send', aloud), {});
    const heard = { msg: aloud.content, from: annName, target: '*' };
    assert.deepEqual(await bob.inbox.next('onChat'), heard);
    assert.deepEqual(await ann.inbox.next('onChat'), heard);

    const whisper = { content: 'psst', target: annName };
    assert.deepEqual(await bob.client.request('chat.chatHandler.send', whisper), {});
    assert.deepEqual(await ann.inbox.next('onChat'), { msg: 'psst', from: bobName, target: annName });
    assert.equal(bob.inbox.count('onChat'), 0, 'a private message comes to its target only');

    const toNobody = { content: 'hello?', target: 'nobody' };
    assert.deepEqual(await bob.client.request('chat.chatHandler.send', toNobody), { code: 404 });
    bob.client.disconnect();
    assert.deepEqual(await ann.inbox.next('onLeave'), { user: bobName });
    ann.client.disconnect();
  },

  'a name is in a room once, a session enters once': async ({ gate }) => {
    const ann = await enter(gate, 'ann', 'once-room');
    const refusal = { code: 500, error: true };
    const other = await connectOnly(gate, 'ann');
    const again = { username: 'ann', rid: 'once-room' };
    assert.deepEqual(await other.request('connector.entryHandler.enter', again), refusal);
    const elsewhere = { username: 'ann', rid: 'other-room' };
    assert.deepEqual(await ann.client.request('connector.entryHandler.enter', elsewhere), refusal);
    for (const username of ['', 'a*b', 'a:b', 'x'.repeat(21), 7, undefined]) {
      const answer = await other.request('connector.entryHandler.enter', { username, rid: 'once-room' });
      assert.deepEqual(answer, refusal, `username ${username}`);
    }
    other.disconnect();
    ann.client.disconnect();
  },

  'nothing is said before entering': async ({ gate }) => {
    const client = await connectOnly(gate, 'ann');
    const answer = await client.request('chat.chatHandler.send', { content: 'x', target: '*' });
    assert.equal(answer.code, 500);
    client.disconnect();
  },

  'a connection that only beats its heart stays': async ({ gate }) => {
    const { client, inbox } = await enter(gate, 'beat', 'heart-room');
    await new Promise((resolve) => setTimeout(resolve, 8000)); // longer than two heartbeats of 3 s: the server's limit
    assert.equal(inbox.count('disconnect'), 0);
    assert.ok(client.connected);
    client.disconnect();
  },
};

async function connectOnly(gate, name) {
  const entry = await askGate(gate, name);
  const client = newClient();
  await client.init(entry.host, entry.port);
  return client;
}
