// SPDX-License-Identifier: MIT
//
// How the page is used, with the keys alone, with names that are too long, over reloads: on a window, a phone and a
// small phone.

import assert from 'node:assert/strict';
import { Browser, findChromium } from './support/browser.mjs';
import { Cluster } from './support/cluster.mjs';
import { focus } from './support/measure.mjs';
import { enter } from './support/people.mjs';
import { onEachScreen } from './support/shapes.mjs';
import { comeIn, knock, say, shows } from './support/visitor.mjs';

export const tests = {
  'the keyboard alone is enough': ({ gate, pagePort }) => onEachScreen(async (browser, shape) => {
    const room = `keys ${shape.width}`;
    const friend = await enter(gate, 'bob', room);
    const page = await browser.open(`http://127.0.0.1:${pagePort}/`, shape);
    await page.until(`document.querySelector('#enter')?.disabled === false && document.activeElement.id === 'name'`);
    await page.send('Input.insertText', { text: 'ann' });
    assert.deepEqual(await path(page, 3), ['name', 'room', 'enter']);
    await page.press('Tab', { isBack: true });
    await page.send('Input.insertText', { text: room });
    await page.press('Enter');
    await page.until(`document.querySelector('#state').dataset.state === 'online'`);
    assert.equal((await page.run(focus)).on, 'text');
    await page.send('Input.insertText', { text: 'without a mouse' });
    await page.press('Enter');
    await page.until(shows('without a mouse', '.mine'));
    assert.deepEqual(await path(page, 5, { isBack: true }), ['text', 'log', 'leave', 'bob', 'BODY']);
    assert.deepEqual((await path(page, 6)).slice(1), ['bob', 'leave', 'log', 'text', 'send']);
    await whisperAndTakeBack(page);
    await othersDoNotMoveTheFocus(page, gate, room);
    await path(page, 2);
    await page.press('Enter');
    await page.until(`!document.querySelector('#door').hidden`);
    assert.equal((await page.run(focus)).on, 'entry');
    await page.press('Tab');
    assert.equal((await page.run(focus)).on, 'name');
    friend.client.disconnect();
  }),

  'Escape and a button stop an attempt to enter': ({ pagePort }) => onEachScreen(async (browser, shape) => {
    const page = await browser.open(`http://127.0.0.1:${pagePort}/`, shape);
    await page.send('Fetch.enable', { patterns: [{ urlPattern: '*/config.json' }] }); // never answered
    await page.until(`document.querySelector('#enter')?.disabled === false`);
    for (const stop of [() => page.press('Escape'), () => page.click('#stop')]) {
      await page.evaluate(`document.querySelector('#entry').reset()`);
      await knock(page, 'ann', 'nowhere');
      await page.until(`!document.querySelector('#stop').hidden`);
      await stop();
      await page.until(`document.querySelector('#stop').hidden`);
      assert.equal(await page.evaluate(`document.querySelector('#enter').textContent`), 'Enter');
      assert.equal(await page.evaluate(`document.querySelector('#name').value`), 'ann');
    }
  }),

  'the fields take what the server takes, and say why no more': ({ pagePort }) =>
    onEachScreen(async (browser, shape) => {
      const page = await browser.open(`http://127.0.0.1:${pagePort}/`, shape);
      await page.until(`document.querySelector('#enter')?.disabled === false`);
      for (const field of ['name', 'room']) {
        await put(page, field, '🍈'.repeat(25));
        await assertField(page, field, '🍈'.repeat(20), '20 characters at most.');
        await put(page, field, 'abcdefghijklmnopqrst');
        await assertField(page, field, 'abcdefghijklmnopqrst', '');
        await page.run((id) => document.getElementById(id).setSelectionRange(3, 3), field);
        await page.send('Input.insertText', { text: 'X' });
        await assertField(page, field, 'abcdefghijklmnopqrst', '20 characters at most.');
        await put(page, field, 'a*b:c');
        await assertField(page, field, 'abc', '“*” and “:” cannot be used.');
      }
      await put(page, 'name', '🍈'.repeat(20));
      await page.click('#enter');
      await page.until(`document.querySelector('#state').dataset.state === 'online'`);
      await page.click('#leave');
    }),

  'a reload keeps name and room, and says so': ({ pagePort }) => onEachScreen(async (browser, shape) => {
    const page = await comeIn(browser, `http://127.0.0.1:${pagePort}/`, 'ann', `reload ${shape.width}`, shape);
    await reload(page);
    await page.until(`document.querySelector('#state').dataset.state === 'online'`);
    assert.equal(await page.evaluate(`document.querySelector('.own').dataset.name`), 'ann');
    assert.equal(await page.evaluate(`document.querySelector('#place').textContent`), `reload ${shape.width}`);
    assert.match(await page.evaluate(`document.querySelector('#log').innerText`), /The page was reloaded/);
    await page.click('#leave');
    await reload(page);
    await page.until(`document.querySelector('#enter')?.disabled === false`);
    assert.deepEqual(await fields(page), ['ann', `reload ${shape.width}`]);
    const isComingBack = await page.evaluate(`!document.querySelector('#stop').hidden`);
    assert.equal(isComingBack, false, 'who left stays outside');
    const promise = /A reload of the page brings you back/;
    assert.match(await page.evaluate(`document.querySelector('#entry').innerText`), promise);
  }),

  'who comes again is greeted with what was before, after a restart of everything': async ({ root, bin }) => {
    const cluster = new Cluster(root, bin, { folder: 'guests', guests: true });
    const browser = new Browser(findChromium());
    try {
      await cluster.start();
      await cluster.startPage();
      const address = `http://127.0.0.1:${cluster.pagePort}/`;
      const page = await comeIn(browser, address, 'ann', 'attic');
      assert.doesNotMatch(await page.evaluate(`document.querySelector('#log').innerText`), /Welcome back/);
      await say(page, 'I was here.');
      await page.until(shows('I was here.'));
      await page.click('#leave');
      await cluster.restart();
      const again = await comeIn(browser, address, 'ann', 'hall');
      const greeting = /You are in hall, .* Welcome back: last time you were in attic; 1 message of yours until now\./;
      assert.match(await again.evaluate(`document.querySelector('#log').innerText`), greeting);
    } finally {
      await browser.close();
      await cluster.stop();
    }
  },
};

/** What has the focus now and after each press of Tab; each shows that it has it. */
async function path(page, length, { isBack = false } = {}) {
  const names = [];
  for (let step = 0; step < length; step += 1) {
    if (step > 0) await page.press('Tab', { isBack });
    await page.painted();
    const { on, isVisible, isOnScreen } = await page.run(focus);
    if (on !== 'BODY') assert.ok(isVisible && isOnScreen, `the focus on ${on} does not show`);
    names.push(on);
  }
  return names;
}

/** From the Send button: back to the person, who is picked; Escape ends it. */
async function whisperAndTakeBack(page) {
  await path(page, 5, { isBack: true });
  await page.press('Enter');
  await page.until(`document.querySelector('#target').textContent === 'bob, in private'`);
  assert.equal((await page.run(focus)).on, 'text');
  assert.deepEqual(await path(page, 2, { isBack: true }), ['text', 'everyone']);
  await page.press('Escape');
  await page.until(`document.querySelector('#target').textContent === 'everyone'`);
  assert.equal((await page.run(focus)).on, 'text');
}

/** Ends with the focus on bob, in the list. */
async function othersDoNotMoveTheFocus(page, gate, room) {
  await path(page, 4, { isBack: true });
  const passer = await enter(gate, 'abe', room);
  await page.until(`document.querySelector('[data-name="abe"]')`);
  assert.equal((await page.run(focus)).on, 'bob');
  passer.client.disconnect();
  await page.until(`!document.querySelector('[data-name="abe"]')`);
  assert.equal((await page.run(focus)).on, 'bob');
}

/** Replaces what is in a field, as by pasting. */
async function put(page, field, text) {
  await page.run((id) => {
    document.getElementById(id).focus();
    document.getElementById(id).select();
  }, field);
  await page.send('Input.insertText', { text });
}

async function assertField(page, field, value, note) {
  assert.equal(await page.evaluate(`document.getElementById('${field}').value`), value);
  assert.equal(await page.evaluate(`document.getElementById('${field}-limit').textContent`), note);
}

function fields(page) {
  return page.run(() => [document.querySelector('#name').value, document.querySelector('#room').value]);
}

async function reload(page) {
  await page.evaluate('globalThis.isOld = true');
  await page.send('Page.reload', {});
  await page.until('globalThis.isOld === undefined && document.readyState === "complete"');
}
