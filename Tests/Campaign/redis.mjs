// SPDX-License-Identifier: MIT
//
// The campaign's Redis: a process that can be killed, stopped and started with more or less data, and questions to it.

import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export class Redis {
  #processes;
  #folder;
  #port;

  constructor(processes, folder, port) {
    this.#processes = processes;
    this.#folder = folder;
    this.#port = port;
  }

  /** Starts the process, with what the last `SAVE` wrote or with nothing. */
  async start({ empty = true } = {}) {
    if (empty) rmSync(join(this.#folder, 'dump.rdb'), { force: true });
    this.#processes.spawn('redis', 'redis-server', [
      '--port', String(this.#port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', '', '--appendonly', 'no',
    ]);
    for (const end = Date.now() + 20_000; ; await pause(50)) {
      if ((await this.ask('PING').catch(() => null)) === 'PONG') return;
      if (Date.now() > end) throw new Error('Redis did not start');
    }
  }

  kill() {
    return this.#processes.kill('redis');
  }

  signal(signal) {
    this.#processes.signal('redis', signal);
  }

  async ask(...words) {
    return (await this.askAll([words]))[0];
  }

  /** Sends commands at once, over a connection of their own, and resolves with their answers; an error is one. */
  askAll(commands) {
    return new Promise((resolve, reject) => {
      const replies = [];
      let input = Buffer.alloc(0);
      const socket = connect({ host: '127.0.0.1', port: this.#port }, () => {
        socket.write(commands.map((words) => encode(words)).join(''));
      });
      socket.setTimeout(10_000, () => socket.destroy(new Error('Redis does not answer')));
      socket.on('data', (bytes) => {
        input = Buffer.concat([input, bytes]);
        for (let found = decode(input, 0); found !== null; found = decode(input, 0)) {
          replies.push(found.value);
          input = input.subarray(found.end);
          if (replies.length === commands.length) socket.end();
        }
      });
      socket.on('error', reject);
      socket.on('close', () => {
        if (replies.length === commands.length) resolve(replies);
        else reject(new Error('Redis hung up'));
      });
    });
  }

  /** Every key that matches. */
  async keys(pattern) {
    const found = new Set();
    let cursor = '0';
    do {
      const [next, keys] = await this.ask('SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000');
      for (const key of keys) found.add(key);
      cursor = next;
    } while (cursor !== '0');
    return [...found];
  }
}

// ---- RESP2

function encode(words) {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** The reply at an offset and where it ends, or null when it has not all arrived. */
function decode(input, at) {
  const lineEnd = input.indexOf('\r\n', at);
  if (lineEnd < 0) return null;
  const line = input.toString('utf8', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(input[at])) {
    case '+': return { value: line, end };
    case '-': return { value: new Error(line), end };
    case ':': return { value: Number(line), end };
    case '$': {
      const length = Number(line);
      if (length < 0) return { value: null, end };
      if (input.length < end + length + 2) return null;
      return { value: input.toString('utf8', end, end + length), end: end + length + 2 };
    }
    default: return decodeArray(input, Number(line), end);
  }
}

function decodeArray(input, count, start) {
  const value = [];
  let end = start;
  for (let index = 0; index < count; index += 1) {
    const item = decode(input, end);
    if (item === null) return null;
    value.push(item.value);
    end = item.end;
  }
  return { value: count < 0 ? null : value, end };
}
