// SPDX-License-Identifier: MIT
//
// Encrypted ports: a browser that believes an authority of its own, and Node's TLS for packages without a WebSocket.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { run, withCertificate } from './support/authority.mjs';
import { Browser, findChromium } from './support/browser.mjs';
import { Cluster } from './support/cluster.mjs';
import { serve } from './support/folder.mjs';

export const tests = {
  'a browser that believes the authority reaches wss, another does not': (world) =>
    withLesson(world, async ({ lesson, authority }) => {
      const place = `localhost:${lesson.gate.port}`;
      const page = await serve({ page: '<!DOCTYPE html><title>page</title>' });
      const inside = new Browser(findChromium(), { HOME: homeThatBelieves(authority) });
      const outside = new Browser(findChromium());
      try {
        const knowing = await inside.open(`${page.origin}/`);
        assert.equal(await knowing.run(login, `wss://${place}/`), 0);
        // Socket.io, on the same port.
        assert.equal(await knowing.run(open, `wss://${place}/socket.io/?EIO=4&transport=websocket`), 'open');
        const unknowing = await outside.open(`${page.origin}/`);
        assert.equal(await unknowing.run(open, `wss://${place}/`), 'refused');
      } finally {
        await inside.close();
        await outside.close();
        page.close();
      }
    }),

  'packages over TLS, before and after a restart': (world) =>
    withLesson(world, async ({ lesson, authority }) => {
      for (const round of [1, 2]) {
        const socket = connect({
          host: '127.0.0.1', port: lesson.gate.port, servername: 'localhost',
          ca: readFileSync(join(authority, 'ca.pem')),
        });
        const [handshake, heartbeat, answer] = await talk(socket, `pupil-${round}`);
        assert.equal(JSON.parse(handshake.body).code, 200);
        assert.equal(heartbeat.type, 3);
        assert.equal(answer.type, 4, `round ${round}`);
        assert.equal(JSON.parse(answer.body.subarray(2)).code, 0);
        const ended = new Promise((resolve) => socket.once('close', resolve));
        if (round === 1) await lesson.restart();
        else socket.destroy();
        await ended;
      }
    }),
};

function withLesson({ root, bin }, check) {
  return withCertificate(async ({ folder, tls }) => {
    const lesson = new Cluster(root, bin, { program: 'LessonChat', config: 'config/lesson', folder: 'tls', tls });
    try {
      await lesson.start();
      await check({ lesson, authority: folder });
    } finally {
      await lesson.stop();
    }
  }, ['openssl', 'certutil']);
}

/** A home in which Chromium finds the authority among those that it believes. */
function homeThatBelieves(authority) {
  const home = join(authority, 'home');
  const base = join(home, '.pki', 'nssdb');
  mkdirSync(base, { recursive: true });
  run(home, 'certutil', '-N', '-d', `sql:${base}`, '--empty-password');
  run(home, 'certutil', '-A', '-d', `sql:${base}`, '-t', 'C,,', '-n', 'lesson', '-i', join(authority, 'ca.pem'));
  return home;
}

function packet(type, body = '') {
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from([type, bytes.length >> 16, (bytes.length >> 8) & 255, bytes.length & 255]), bytes]);
}

function loginRequest(userId) {
  const route = 'connector.handler.login';
  return `\x00\x01${String.fromCharCode(route.length)}${route}${JSON.stringify({ userId, lessonId: 1 })}`;
}

/** Says all that a client says before its first answer, and resolves with the first two packages and that answer. */
function talk(socket, userId) {
  return new Promise((resolve, reject) => {
    let input = Buffer.alloc(0);
    const packages = [];
    socket.once('error', reject);
    socket.setTimeout(15_000, () => reject(new Error('no answer in time')));
    socket.on('secureConnect', () => {
      socket.write(packet(1, '{"sys":{"type":"js-websocket","version":"0.0.1"}}'));
      socket.write(packet(2));
      socket.write(packet(4, loginRequest(userId)));
    });
    socket.on('data', (bytes) => {
      input = Buffer.concat([input, bytes]);
      while (input.length >= 4 && input.length >= 4 + input.readUIntBE(1, 3)) {
        const end = 4 + input.readUIntBE(1, 3);
        packages.push({ type: input[0], body: input.subarray(4, end) });
        input = input.subarray(end);
      }
      // A push comes before it.
      const answer = packages.find(({ type, body }) => type === 4 && body[0] === 4);
      if (answer !== undefined) resolve([packages[0], packages[1], answer]);
    });
  });
}

/** In the page: whether a WebSocket opens. */
function open(address) {
  return new Promise((resolve) => {
    const socket = new WebSocket(address);
    socket.onopen = () => resolve('open');
    socket.onerror = () => resolve('refused');
  });
}

/** In the page: what the server answers to a login. */
function login(address) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    const text = new TextEncoder();
    const send = (type, body) => {
      const bytes = text.encode(body);
      socket.send(new Uint8Array([type, 0, bytes.length >> 8, bytes.length & 255, ...bytes]));
    };
    socket.onerror = () => reject(new Error('refused'));
    socket.onopen = () => send(1, '{"sys":{"type":"js-websocket","version":"0.0.1"}}');
    socket.onmessage = ({ data }) => {
      const bytes = new Uint8Array(data);
      if (bytes[0] === 1) {
        const route = 'connector.handler.login';
        send(2, '');
        send(4, `\x00\x01${String.fromCharCode(route.length)}${route}{"userId":"page","lessonId":1}`);
      }
      if (bytes[0] === 4) {
        resolve(JSON.parse(new TextDecoder().decode(bytes.subarray(6))).code);
      }
    };
  });
}
