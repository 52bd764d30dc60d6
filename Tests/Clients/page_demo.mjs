// SPDX-License-Identifier: MIT
//
// The unmodified web pages of the public demos, in headless Chromium, at Chat. They are not ours to keep: their folders
// (web-server/public of each) are given in POMELO_DEMO_PAGE (chatofpomelo-plugins, socket.io 0.9) and in
// POMELO_DEMO_PAGE_WEBSOCKET (chatofpomelo-websocket, hybrid).

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Browser, findChromium } from './support/browser.mjs';
import { Cluster, canListen } from './support/cluster.mjs';
import { serve } from './support/folder.mjs';
import { Skip } from './support/people.mjs';

/** Both pages look for the gate here. */
const gatePort = 3014;

export const tests = {
  'the page of chatofpomelo-plugins': (world) => withPages(world, ['POMELO_DEMO_PAGE'], meet),
  'the page of chatofpomelo-websocket': (world) => withPages(world, ['POMELO_DEMO_PAGE_WEBSOCKET'], meet),
  'both pages in one room': (world) =>
    withPages(world, ['POMELO_DEMO_PAGE', 'POMELO_DEMO_PAGE_WEBSOCKET'], meet),
};

async function withPages({ root, bin }, names, test) {
  const folders = names.map((name) => process.env[name]);
  if (folders.includes(undefined)) throw new Skip(`not given: ${names.join(', ')}`);
  if (!(await canListen(gatePort))) throw new Skip(`port ${gatePort} is taken`);
  const chat = new Cluster(root, bin, { folder: 'demo', ports: { 'gate-server-1': gatePort } });
  await chat.start();
  const servers = await Promise.all(folders.map((folder) => serve({ folder: resolve(folder) })));
  const browser = new Browser(findChromium());
  try {
    const [first, second = first] = servers;
    await test(browser, `${first.origin}/`, `${second.origin}/`, join(root, '.build', 'dev'));
  } finally {
    await browser.close();
    for (const server of servers) server.close();
    await chat.stop();
  }
}

/** Two people come in, talk to all and to each other; one leaves, comes back, and is refused a name that is taken. */
async function meet(browser, address, other, pictures) {
  const ann = await browser.open(address);
  await enter(ann, 'ann');
  const bob = await browser.open(other);
  await enter(bob, 'bob');
  await ann.until(has('bob'));
  await bob.until(has('ann'));

  await say(ann, 'Good morning, 早上好 😀');
  for (const page of [ann, bob]) await page.until(shows('ann says to all', 'Good morning, 早上好 😀'));
  await say(bob, 'For you alone', 'ann');
  await ann.until(shows('bob says to ann', 'For you alone'));
  await bob.until(shows('bob says to ann', 'For you alone'));
  mkdirSync(pictures, { recursive: true });
  await ann.screenshot(join(pictures, 'demo-page.png'));

  const twin = await browser.open(other);
  await fill(twin, 'bob');
  await twin.until(`$('#loginError').text() === 'Please change your name to login.'`);
  await twin.send('Page.navigate', { url: 'about:blank' });

  // Reloaded, the page is a new client, whose name is free again.
  await bob.send('Page.reload');
  await ann.until(`!${has('bob')}`);
  await enter(bob, 'bob');
  await ann.until(has('bob'));
  await say(bob, 'Back again');
  await ann.until(shows('bob says to all', 'Back again'));

  await bob.send('Page.navigate', { url: 'about:blank' });
  await ann.until(`!${has('bob')}`);
  await say(ann, 'Gone');
  await ann.until(shows('ann says to all', 'Gone'));
  const complaints = ann.complaints.filter((text) => !/favicon|404/.test(text));
  assert.deepEqual(complaints, []);
}

async function fill(page, name) {
  await page.until(`document.readyState === 'complete' && window.$ && $('#loginView').is(':visible')`);
  await page.run((who) => {
    // The page of chatofpomelo-websocket takes the end of its gate's connection, when that comes late, for its
    // connector's, and shows its login again.
    pomelo.removeAllListeners('disconnect');
    $('#loginUser').val(who);
    $('#channelList').val('demo');
  }, name);
  await page.click('#login');
}

async function enter(page, name) {
  await fill(page, name);
  await page.until(`$('#toolbar').is(':visible') && $('#name').text() === ${JSON.stringify(name)}`);
}

async function say(page, words, target = '*') {
  await page.until(`$('#entry').val() === ''`);
  await page.run((whom) => $('#usersList').val(whom), target);
  await page.type('#entry', words);
  await page.press('Enter');
}

function has(name) {
  return `$('#usersList option').filter((_, node) => node.value === ${JSON.stringify(name)}).length > 0`;
}

function shows(who, words) {
  const rows = `[...document.querySelectorAll('#chatHistory .message')].map((node) => node.innerText)`;
  return `${rows}.some((text) => text.includes(${JSON.stringify(who)}) && text.includes(${JSON.stringify(words)}))`;
}
