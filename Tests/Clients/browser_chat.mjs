// SPDX-License-Identifier: MIT
//
// Two real pages in headless Chromium, on two connectors, chat; what they look like is saved as a picture.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Browser, findChromium } from './support/browser.mjs';
import { Skip, askGate, enter, namesOnTwoConnectors } from './support/people.mjs';
import { comeIn, knock, say, shows } from './support/visitor.mjs';

export const tests = {
  'two browser pages on two connectors chat': async ({ gate, pagePort, root }) => {
    const chromium = findChromium();
    assert.ok(chromium, 'Chromium is not installed');
    const [annName, bobName] = await namesOnTwoConnectors(gate);
    const address = `http://127.0.0.1:${pagePort}/`;
    const browser = new Browser(chromium);
    try {
      const ann = await comeIn(browser, address, annName, 'lobby');
      const bob = await comeIn(browser, address, bobName, 'lobby');
      await ann.until(`document.querySelector('[data-name="${bobName}"]')`);
      await bob.until(`document.querySelector('[data-name="${annName}"]')`);
      await talk(ann, bob, annName, bobName);
      await refuseTwin(browser, address, annName, 'lobby');
      await takePictures(ann, join(root, '.build', 'dev'));
      await leaveAndNotice(ann, bob, bobName);
    } finally {
      await browser.close();
    }
  },

  'a page comes back by itself when its connector is killed': async ({ gate, pagePort, cluster }) => {
    if (cluster === null) throw new Skip('not a cluster of our own');
    const [annName, bobName] = await namesOnTwoConnectors(gate);
    const { port } = await askGate(gate, annName);
    const address = `http://127.0.0.1:${pagePort}/`;
    const browser = new Browser(findChromium());
    try {
      const ann = await comeIn(browser, address, annName, 'shelter');
      const bob = await comeIn(browser, address, bobName, 'shelter');
      const connector = cluster.serverAt(port);
      cluster.kill(connector);
      await ann.until(`document.querySelector('#state').dataset.state === 'reconnecting'`);
      await cluster.startServer(connector);
      for (const page of [ann, bob]) {
        await page.until(`document.querySelector('#state').dataset.state === 'online'`, 40);
      }
      await ann.until(`document.querySelector('#count').textContent === '2 people'`);
      await say(ann, 'I am back.');
      await bob.until(shows('I am back.'));
    } finally {
      await browser.close();
    }
  },

  'text from others is shown as text, never as markup': async ({ gate, pagePort }) => {
    const browser = new Browser(findChromium());
    try {
      const page = await comeIn(browser, `http://127.0.0.1:${pagePort}/`, 'watcher', 'museum');
      const rogue = await enter(gate, '<img src=x>', 'museum');
      const content = '<script>document.title = "stolen"</script><b>bold</b>';
      await rogue.client.request('chat.chatHandler.send', { content, target: '*' });
      await page.until(`document.querySelector('.bubble')?.textContent === ${JSON.stringify(content)}`);
      assert.equal(await page.evaluate(`document.querySelectorAll('#house img, #log script, #log b').length`), 0);
      rogue.client.disconnect();
      await page.until(`document.querySelector('#count').textContent === '1 person'`);
    } finally {
      await browser.close();
    }
  },
};

async function talk(ann, bob, annName, bobName) {
  await say(ann, 'Good morning! Is anybody here?');
  await ann.until(shows('Good morning! Is anybody here?', '.mine'));
  await bob.until(shows('Good morning! Is anybody here?'));
  await say(bob, 'Yes, on the other connector.');
  await ann.until(shows('Yes, on the other connector.'));
  await say(bob, 'Two processes, one room.');
  await ann.until(shows('Two processes, one room.'));
  await ann.click(`[data-name="${bobName}"]`);
  await say(ann, 'And this is for you alone.');
  await ann.until(shows('And this is for you alone.', '.mine.private'));
  await bob.until(shows('And this is for you alone.', '.private'));
  await ann.click('#everyone');
  await say(ann, 'Lovely.');
  await bob.until(shows('Lovely.'));
  assert.equal(await bob.evaluate(`document.querySelectorAll('.said.private').length`), 1, `one whisper by ${annName}`);
}

async function refuseTwin(browser, address, name, room) {
  const twin = await browser.open(address);
  await knock(twin, name, room);
  await twin.until(`document.querySelector('#problem').textContent.includes('taken')`);
}

async function takePictures(page, folder) {
  mkdirSync(folder, { recursive: true });
  await page.screenshot(join(folder, 'chat.png'));
}

async function leaveAndNotice(ann, bob, bobName) {
  await bob.click('#leave');
  await bob.until(`!document.querySelector('#door').hidden`);
  await ann.until(`!document.querySelector('[data-name="${bobName}"]')`);
}
