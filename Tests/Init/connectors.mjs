// SPDX-License-Identifier: MIT
//
// What a browser's page does not try of a new project's connectors.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const patienceMs = 10_000;

function run(folder, command, ...words) {
  const { status, stderr } = spawnSync(command, words, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, `${command}: ${stderr}`);
}

/** Makes the project's certificate; a home in which Chromium finds its authority among those that it believes. */
export function homeThatBelieves(certs) {
  run(certs, 'sh', 'make.sh');
  const home = join(certs, 'home');
  const base = join(home, '.pki', 'nssdb');
  mkdirSync(base, { recursive: true });
  run(home, 'certutil', '-N', '-d', `sql:${base}`, '--empty-password');
  run(home, 'certutil', '-A', '-d', `sql:${base}`, '-t', 'C,,', '-n', 'lobby', '-i', join(certs, 'ca.pem'));
  return home;
}

function inTime(what, body) {
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`${what}: no answer in time`)), patienceMs);
    body((value) => {
      clearTimeout(late);
      done(value);
    }, failed);
  });
}

/** A handshake in one datagram is answered in one, when it is as long as the answer. */
export async function answersDatagrams(port) {
  const socket = createSocket('udp4');
  const body = Buffer.from(JSON.stringify({ sys: { type: 'test', version: '1' }, user: { padding: ' '.repeat(200) } }));
  const head = Buffer.from([1, 0, body.length >> 8, body.length & 255]);
  const answer = await inTime('UDP', (done) => {
    socket.once('message', done);
    socket.send(Buffer.concat([head, body]), port, '127.0.0.1');
  });
  socket.close();
  assert.equal(answer[0], 1);
  assert.equal(JSON.parse(answer.subarray(4)).code, 200);
}

/** CONNECT of MQTT 3.1.1 is answered by a CONNACK that says yes. */
export async function answersMQTT(port) {
  const socket = connect(port, '127.0.0.1');
  const packet = Buffer.from([0x10, 14, 0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, 2, ...Buffer.from('c1')]);
  const answer = await inTime('MQTT', (done, failed) => {
    socket.once('error', failed);
    socket.once('data', done);
    socket.write(packet);
  });
  socket.destroy();
  assert.deepEqual([...answer], [0x20, 2, 0, 0]);
}
