// SPDX-License-Identifier: MIT
//
// How the page looks on a window, a phone and a small phone, light and dark: measured, and saved as pictures.

import assert from 'node:assert/strict';
import { beyond, contrasts, targets, whole } from './support/measure.mjs';
import { askGate, enter } from './support/people.mjs';
import { inEachScheme, onEachScreen } from './support/shapes.mjs';
import { comeIn, say, shows } from './support/visitor.mjs';

/** WCAG 2.2: 1.4.3 for text, 1.4.11 for lines, 2.5.5 for what is tapped. */
const least = { text: 4.5, line: 3, target: 44, letters: 12 };

export const tests = {
  'text and lines stand out in light and dark': ({ gate, pagePort, root }) => onEachScreen(async (browser, shape) => {
    const address = `http://127.0.0.1:${pagePort}/`;
    const door = await complainingDoor(browser, address, shape);
    const { page, friend } = await conversation(browser, { address, gate, shape });
    const see = (view, name) => inEachScheme(
      view, { root, shape, name }, (scheme) => assertContrasts(view, name, scheme));
    await see(door, 'door');
    await see(page, 'room');
    await page.click('[data-name="bob"]');
    await see(page, 'private');
    // What a lost connection looks like; that it is shown at all is tested with a server that ends.
    await page.run(() => {
      document.querySelector('#state').dataset.state = 'reconnecting';
      document.querySelector('#condition').textContent = 'connection lost, coming back…';
      document.querySelector('#connector').textContent = '';
      document.querySelector('#send').disabled = true;
    });
    await see(page, 'reconnecting');
    friend.client.disconnect();
  }),

  'the longest name and room, the count and the connector are whole': ({ gate, pagePort, root }) =>
    onEachScreen(async (browser, shape) => {
      const [name, room] = ['W'.repeat(20), 'M'.repeat(20)];
      const others = await Promise.all(['bob', 'cleo', 'dora'].map((friend) => enter(gate, friend, room)));
      const { id } = await askGate(gate, name);
      const page = await comeIn(browser, `http://127.0.0.1:${pagePort}/`, name, room, shape);
      await page.until(`document.querySelector('#count').textContent === '4 people'`);
      await inEachScheme(page, { root, shape, name: 'longest' });
      const parts = { '#place': room, '#connector': `on ${id}`, '.own .label': `${name} (you)` };
      const seen = await page.run(whole, [...Object.keys(parts), '#count', '#leave', '#condition']);
      for (const { selector, text, size, isWhole } of seen) {
        assert.ok(isWhole, `${selector} is cut off or covered: ${text}`);
        assert.ok(size >= least.letters, `${selector} has letters of ${size} px`);
        if (selector in parts) assert.equal(text, parts[selector]);
      }
      assertApart(seen);
      assert.deepEqual(await page.run(beyond, shape.width), []);
      for (const { client } of others) client.disconnect();
      await page.click('#leave');
    }),

  'what is tapped is as large as a finger': ({ gate, pagePort }) => onEachScreen(async (browser, shape) => {
    const address = `http://127.0.0.1:${pagePort}/`;
    const door = await complainingDoor(browser, address, shape);
    const { page, friend } = await conversation(browser, { address, gate, shape });
    await page.click('[data-name="bob"]');
    await page.until(`!document.querySelector('#everyone').hidden`);
    for (const view of [door, page]) {
      const found = await view.run(targets);
      assert.ok(found.length >= 3);
      for (const { what, width, height } of found) {
        assert.ok(width >= least.target && height >= least.target, `${what} is ${width} × ${height} px`);
      }
    }
    friend.client.disconnect();
  }),

  'before one enters nothing looks like an outage': ({ pagePort }) => onEachScreen(async (browser, shape) => {
    const page = await browser.open(`http://127.0.0.1:${pagePort}/`, shape);
    await page.until(`document.querySelector('#enter')?.disabled === false`);
    assert.doesNotMatch(await page.evaluate('document.body.innerText'), /offline|connect(ion|ing)|lost|error/i);
    assert.equal(await page.run(() => document.querySelector('#state').checkVisibility()), false);
    assert.deepEqual(page.complaints, []);
  }),
};

/** The way in, with a word that is too long, and a name that is taken. */
async function complainingDoor(browser, address, shape) {
  const door = await browser.open(address, shape);
  await door.until(`document.querySelector('#enter')?.disabled === false`);
  await door.type('#name', 'x'.repeat(21));
  await door.run(() => { document.querySelector('#problem').textContent = '“ann” cannot enter now.'; });
  return door;
}

/** A room in which everything is to be seen that can be. */
async function conversation(browser, { address, gate, shape }) {
  const room = `look ${shape.width}`;
  const page = await comeIn(browser, address, 'ann', room, shape);
  const friend = await enter(gate, 'bob', room);
  const tell = (content, target = '*') => friend.client.request('chat.chatHandler.send', { content, target });
  await page.until(`document.querySelector('[data-name="bob"]')`);
  await say(page, 'Good morning! Is anybody here?');
  await page.until(shows('Good morning! Is anybody here?', '.mine'));
  await tell('Yes, on the other connector.');
  await tell('Two processes, one room, and the list of people is the same in both of them.');
  await tell('And this is for you alone.', 'ann');
  await page.until(shows('And this is for you alone.', '.private'));
  await page.click('[data-name="bob"]');
  await say(page, 'Nobody else hears it.');
  await page.until(shows('Nobody else hears it.', '.mine.private'));
  const passer = await enter(gate, 'cleo', room);
  await page.until(`document.querySelector('[data-name="cleo"]')`);
  await page.click('[data-name="cleo"]');
  await page.evaluate(`document.querySelector('#text').value = 'Hello?'`);
  passer.client.disconnect();
  await page.until(`!document.querySelector('[data-name="cleo"]')`);
  await page.evaluate(`document.querySelector('#text').value = ''`);
  await page.run(() => {
    const notice = document.querySelector('.notice:last-child').cloneNode(true);
    notice.classList.add('bad');
    notice.firstChild.textContent = 'That message could not be sent.';
    document.querySelector('#log').append(notice);
  });
  await say(page, 'Lovely.');
  await page.until(shows('Lovely.', '.mine'));
  return { page, friend };
}

async function assertContrasts(page, name, scheme) {
  const found = await page.run(contrasts);
  assert.ok(found.length > 8);
  for (const { what, ratio, isLine } of found) {
    const limit = isLine ? least.line : least.text;
    assert.ok(ratio >= limit, `${name}, ${scheme}: ${what} has a contrast of ${ratio.toFixed(2)}, and needs ${limit}`);
  }
  if (name === 'room') await everyFaceIsReadable(page, scheme);
}

/** A face's colour comes from the name, so that any hue may be met. */
async function everyFaceIsReadable(page, scheme) {
  for (let hue = 0; hue < 360; hue += 15) {
    await page.run((value) => document.querySelector('.face').style.setProperty('--hue', value), hue);
    const face = (await page.run(contrasts)).find(({ what }) => what.startsWith('face'));
    assert.ok(face.ratio >= least.text, `${scheme}: a face of hue ${hue} has a contrast of ${face.ratio.toFixed(2)}`);
  }
}

function assertApart(parts) {
  for (const one of parts) {
    for (const other of parts) {
      if (one === other) continue;
      const [a, b] = [one.box, other.box];
      const meet = a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      assert.ok(!meet || isInline(one, other), `${one.selector} and ${other.selector} overlap`);
    }
  }
}

/** Words of one line of text; a box around several lines says nothing about them. */
function isInline(one, other) {
  const pairs = [['#place', '#count'], ['#condition', '#connector']];
  return pairs.some((pair) => pair.includes(one.selector) && pair.includes(other.selector));
}
