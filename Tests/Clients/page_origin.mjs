// SPDX-License-Identifier: MIT
//
// Pages of other origins in Chromium: who is listed reaches socket.io, nobody else does.

import assert from 'node:assert/strict';
import { Browser, findChromium } from './support/browser.mjs';
import { Cluster } from './support/cluster.mjs';
import { serve } from './support/folder.mjs';

export const tests = {
  'a page of a listed origin is let in, one of another is not': async ({ root, bin }) => {
    const [listed, other] = await Promise.all([1, 2].map(() => serve({ page: '<!DOCTYPE html><title>page</title>' })));
    const env = {
      POMELO_SOCKETIO_TRANSPORTS: '["websocket", "polling"]',
      POMELO_SOCKETIO_ORIGINS: JSON.stringify([listed.origin]),
    };
    const lesson = new Cluster(root, bin, { program: 'LessonChat', config: 'config/lesson', folder: 'origins', env });
    await lesson.start();
    const browser = new Browser(findChromium());
    try {
      const place = `127.0.0.1:${lesson.gate.port}`;
      const inside = await browser.open(`${listed.origin}/`);
      await inside.until(`document.readyState === 'complete'`);
      const outside = await browser.open(`${other.origin}/`);
      await outside.until(`document.readyState === 'complete'`);

      for (const query of ['?EIO=4&transport=polling', '?EIO=3&transport=polling', '1/']) {
        assert.equal(await inside.run(ask, `http://${place}/socket.io/${query}`, {}), 200, query);
        assert.equal(await outside.run(ask, `http://${place}/socket.io/${query}`, {}), 'refused', query);
      }
      // A header of the page's own has the browser ask beforehand.
      const ownHeader = { 'x-own': 'yes' };
      const address = `http://${place}/socket.io/?EIO=4&transport=polling`;
      assert.equal(await inside.run(ask, address, ownHeader), 200);
      assert.equal(await outside.run(ask, address, ownHeader), 'refused');
      // Refused requests are shown too, where the page may look.
      assert.equal(await inside.run(ask, `http://${place}/socket.io/?EIO=9&transport=polling`, {}), 400);

      const socket = `ws://${place}/socket.io/?EIO=4&transport=websocket`;
      assert.equal(await inside.run(open, socket), 'open');
      assert.equal(await outside.run(open, socket), 'refused');
    } finally {
      await browser.close();
      listed.close();
      other.close();
      await lesson.stop();
    }
  },
};

/** In the page: the status of an answer, with the browser's cookies. */
async function ask(address, headers) {
  try {
    return (await fetch(address, { credentials: 'include', headers })).status;
  } catch {
    return 'refused';
  }
}

/** In the page: whether a WebSocket opens. */
function open(address) {
  return new Promise((resolve) => {
    const socket = new WebSocket(address);
    socket.onopen = () => {
      resolve('open');
      socket.close();
    };
    socket.onerror = () => resolve('refused');
  });
}
