// SPDX-License-Identifier: MIT
//
// What is said stays in sight, also above a keyboard on the screen: on a window, a phone and a small phone.

import assert from 'node:assert/strict';
import { conversation } from './support/measure.mjs';
import { enter } from './support/people.mjs';
import { inEachScheme, onEachScreen } from './support/shapes.mjs';
import { comeIn, say, shows } from './support/visitor.mjs';

const keyboardHeight = 300;

export const tests = {
  'the log follows its end when a keyboard opens': (world) => onEachScreen(async (browser, shape) => {
    const { gate, pagePort, root } = world;
    const { page, friend } = await longTalk(browser, { gate, pagePort, shape, room: `keyboard ${shape.width}` });
    await assertAtEnd(page, 'before');
    const low = { ...shape, height: shape.height - keyboardHeight };
    await page.resize(low);
    await page.until(`innerHeight === ${low.height}`);
    await assertAtEnd(page, 'the page is lower');
    await inEachScheme(page, { root, shape, name: 'keyboard' });
    await page.resize(shape);
    await page.until(`innerHeight === ${shape.height}`);
    await assertAtEnd(page, 'the page is high again');
    await openKeyboardOverPage(page, low.height);
    await assertAtEnd(page, 'the keyboard lies over the page');
    await page.type('#text', 'typed while it is open');
    await page.press('Enter');
    await page.until(shows('typed while it is open', '.mine'));
    await assertAtEnd(page, 'something was said');
    await openKeyboardOverPage(page, shape.height);
    await assertAtEnd(page, 'the keyboard is gone');
    friend.client.disconnect();
  }),

  'the field in which one types stays above the keyboard': ({ pagePort }) => onEachScreen(async (browser, shape) => {
    const page = await browser.open(`http://127.0.0.1:${pagePort}/`, shape);
    await page.until(`document.querySelector('#enter')?.disabled === false`);
    const left = shape.height - keyboardHeight;
    for (const field of ['name', 'room']) {
      await openKeyboardOverPage(page, shape.height);
      await page.run((id) => document.getElementById(id).focus(), field);
      await openKeyboardOverPage(page, left);
      const box = await page.run((id) => document.getElementById(id).getBoundingClientRect().toJSON(), field);
      assert.ok(box.top >= 0 && box.bottom <= left, `${field} is behind the keyboard: ${box.bottom}`);
    }
  }),

  'a reader who scrolled up stays there, and sees what they say themselves': ({ gate, pagePort }) =>
    onEachScreen(async (browser, shape) => {
      const { page, friend } = await longTalk(browser, { gate, pagePort, shape, room: `reader ${shape.width}` });
      await page.evaluate(`document.querySelector('#log').scrollTop = 200`);
      await page.painted();
      await tell(friend, 'not to be in the way');
      await page.until(shows('not to be in the way'));
      await openKeyboardOverPage(page, shape.height - keyboardHeight);
      assert.equal((await page.run(conversation)).top, 200);
      await say(page, 'my own');
      await page.until(shows('my own', '.mine'));
      await assertAtEnd(page, 'said in public');
      await page.evaluate(`document.querySelector('#log').scrollTop = 200`);
      await page.painted();
      await page.run(() => document.querySelector('[data-name="bob"]').click());
      await say(page, 'my own secret');
      await page.until(shows('my own secret', '.mine.private'));
      await assertAtEnd(page, 'said in private');
      friend.client.disconnect();
    }),

  'the log is read out as it grows, and everything has a name': ({ gate, pagePort }) =>
    onEachScreen(async (browser, shape) => {
      const room = `aloud ${shape.width}`;
      const page = await comeIn(browser, `http://127.0.0.1:${pagePort}/`, 'ann', room, shape);
      const friend = await enter(gate, 'bob', room);
      await page.until(`document.querySelector('[data-name="bob"]')`);
      await page.run(() => {
        const log = document.querySelector('#log');
        globalThis.changes = { added: 0, removed: 0 };
        new MutationObserver((records) => records.forEach(({ addedNodes, removedNodes }) => {
          globalThis.changes.added += addedNodes.length;
          globalThis.changes.removed += removedNodes.length;
        })).observe(log, { childList: true, subtree: true });
      });
      await tell(friend, 'hear this');
      await page.until(shows('hear this'));
      assert.deepEqual(await page.evaluate('globalThis.changes'), { added: 1, removed: 0 });
      const { nodes } = await page.send('Accessibility.getFullAXTree');
      const log = nodes.find((node) => node.role?.value === 'log');
      assert.equal(log?.properties.find(({ name }) => name === 'live')?.value.value, 'polite');
      for (const { role, name, ignored } of nodes) {
        if (ignored || !['button', 'textbox', 'log'].includes(role?.value)) continue;
        assert.ok(name?.value, `a ${role.value} has no name`);
      }
      // A placeholder is a name only until something is typed.
      const labels = await page.run(() => [...document.querySelectorAll('input')].map((node) => node.labels.length));
      assert.deepEqual(labels, [1, 1, 1]);
      friend.client.disconnect();
    }),

  'each message says when it came': ({ gate, pagePort }) => onEachScreen(async (browser, shape) => {
    const { page, friend } = await longTalk(browser, { gate, pagePort, shape, room: `time ${shape.width}` });
    const times = await page.run(() => [...document.querySelectorAll('.said')].map((node) => {
      const time = node.querySelector('time');
      return { text: time?.textContent, at: time?.dateTime, width: time?.getBoundingClientRect().width };
    }));
    assert.equal(times.length, 30);
    for (const { text, at, width } of times) {
      assert.match(text ?? 'no time', /^\d\d:\d\d$/);
      assert.ok(Math.abs(Date.now() - Date.parse(at)) < 60_000, at);
      assert.ok(width > 20);
    }
    friend.client.disconnect();
  }),
};

function tell(person, content) {
  return person.client.request('chat.chatHandler.send', { content, target: '*' });
}

/** Two people, and thirty things said: more than a screen holds. */
async function longTalk(browser, { gate, pagePort, shape, room }) {
  const page = await comeIn(browser, `http://127.0.0.1:${pagePort}/`, 'ann', room, shape);
  const friend = await enter(gate, 'bob', room);
  await page.until(`document.querySelector('[data-name="bob"]')`);
  for (let number = 1; number <= 30; number += 1) await tell(friend, `number ${number}`);
  await page.until(shows('number 30'));
  return { page, friend };
}

/** Phones leave the page as high as it is, and only tell what of it can be seen. */
async function openKeyboardOverPage(page, height) {
  await page.run((visible) => {
    Object.defineProperty(visualViewport, 'height', { configurable: true, get: () => visible });
    visualViewport.dispatchEvent(new Event('resize'));
  }, height);
  await page.painted();
}

async function assertAtEnd(page, when) {
  await page.painted();
  const { fromEnd, height, isLastShown, isComposerShown } = await page.run(conversation);
  assert.ok(fromEnd <= 1, `${when}: the log is ${fromEnd} px from its end`);
  assert.ok(isLastShown, `${when}: the last message is not to be seen`);
  assert.ok(isComposerShown, `${when}: the composer is not to be seen`);
  assert.ok(height >= 100, `${when}: the log is ${height} px high`);
}
