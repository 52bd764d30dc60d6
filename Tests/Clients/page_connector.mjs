// SPDX-License-Identifier: MIT
//
// What the page says of the connector it is on: which it is, when it moved to another, when it may have missed words.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser, findChromium } from './support/browser.mjs';
import { whole } from './support/measure.mjs';
import { Skip, askGate, enter } from './support/people.mjs';
import { shapes } from './support/shapes.mjs';
import { comeIn, say, shows } from './support/visitor.mjs';

const list = 'chat.chatHandler.list';
/** A connector that stood still for longer than 1 s tells its clients so. */
const gapSeconds = 2;

export const tests = {
  'the page says which connector it is on, that it lost it, and to which it moved': (world) =>
    withPages(world, 'moving', async ({ pages, here, there, cluster }) => {
      for (const page of pages) {
        await assertConnector(page, here);
        assert.match(await words(page), new RegExp(`You are in moving, on ${here} \\(127\\.0\\.0\\.1:\\d+\\)\\.`));
        await keepStates(page);
      }
      cluster.kill(here);
      try {
        for (const page of pages) {
          await page.until(`document.querySelector('#connector').textContent === 'on ${there}'`, 40);
          await assertConnector(page, there);
          assert.deepEqual(await page.evaluate('globalThis.states'), ['connection lost, coming back…', 'online']);
          assert.match(
            await words(page),
            new RegExp(`Connection to ${here} lost.*You are back, and moved to ${there} `, 's'));
        }
      } finally {
        await cluster.startServer(here);
      }
    }),

  'after a gap the page says so, and shows who is there in truth': (world) =>
    withPages(world, 'standing still', async ({ pages, here, friend, cluster }) => {
      for (const page of pages) await page.evaluate('globalThis.isDeaf = true');
      const late = await enter(world.gate, 'late', 'standing still');
      await friend.client.request('chat.chatHandler.send', { content: 'Who is it?', target: '*' });
      for (const page of pages) {
        await page.until(shows('Who is it?'));
        assert.equal(await page.evaluate(`document.querySelector('[data-name="late"]')`), null);
      }
      cluster.freeze(here);
      try {
        await Promise.all([
          friend.client.request('chat.chatHandler.send', { content: 'Does anybody hear me?', target: '*' }),
          pause(gapSeconds * 1000),
        ]);
      } finally {
        cluster.thaw(here);
      }
      for (const page of pages) {
        await page.until(`document.querySelector('#log').innerText.includes('Messages may be missing here')`);
        await askedFor(page, list);
        await page.until(`document.querySelector('[data-name="late"]')`);
        assert.equal(await page.evaluate(`document.querySelector('#count').textContent`), `${pages.length + 2} people`);
        await assertConnector(page, here);
      }
      late.client.disconnect();
      await say(pages[0], 'I do.');
      for (const page of pages) await page.until(shows('I do.'));
    }),
};

/** A page of each shape, all on one connector (`here`), and a friend on another (`there`), in one room. */
async function withPages(world, room, check) {
  const { gate, pagePort, cluster } = world;
  if (cluster === null) throw new Skip('not a cluster of our own');
  const { names, here, friendName, there } = await people(gate, shapes.length);
  const browser = new Browser(findChromium());
  try {
    const friend = await enter(gate, friendName, room);
    const pages = [];
    for (const [index, shape] of shapes.entries()) {
      pages.push(await comeIn(browser, `http://127.0.0.1:${pagePort}/`, names[index], room, { ...shape, first: deafen }));
    }
    await pages[0].until(`document.querySelector('#count').textContent === '${shapes.length + 1} people'`);
    await check({ pages, here, there, friend, cluster });
    friend.client.disconnect();
  } finally {
    await browser.close();
  }
}

/** Names that the gate sends to one connector, and one that it sends elsewhere. */
async function people(gate, count) {
  const found = new Map();
  for (let number = 1; number < 100; number += 1) {
    const { id } = await askGate(gate, `ann ${number}`);
    found.set(id, [...(found.get(id) ?? []), `ann ${number}`]);
    const here = [...found.keys()].find((key) => found.get(key).length >= count);
    const there = [...found.keys()].find((key) => key !== here);
    if (here === undefined || there === undefined) continue;
    return { names: found.get(here), here, friendName: found.get(there)[0], there };
  }
  return assert.fail('the gate sent everybody to one connector');
}

/** Has the page miss who comes in, while `isDeaf`. */
function deafen() {
  const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', {
    set(listener) {
      set.call(this, (event) => {
        const isMissed = globalThis.isDeaf && new TextDecoder().decode(event.data).includes('onAdd');
        if (!isMissed) listener(event);
      });
    },
  });
}

async function assertConnector(page, place) {
  await page.painted();
  const [{ text, isWhole }] = await page.run(whole, ['#connector']);
  assert.equal(text, `on ${place}`);
  assert.ok(isWhole, 'the connector is cut off');
}

/** Has the page keep what its state says from now on: a short loss is over sooner than one looks. */
function keepStates(page) {
  return page.run(() => {
    globalThis.states = [];
    const state = document.querySelector('#condition');
    new MutationObserver(() => globalThis.states.push(state.textContent)).observe(state, { childList: true });
  });
}

async function askedFor(page, route) {
  for (const end = Date.now() + 10_000; Date.now() < end; await page.painted()) {
    if (page.sent.some((frame) => frame.includes(route))) return;
  }
  assert.fail(`the page did not ask for ${route}`);
}

function words(page) {
  return page.evaluate(`document.querySelector('#log').innerText`);
}
