// SPDX-License-Identifier: MIT
//
// A small client of the pomelo protocol over WebSocket, for browsers and Node. No dependencies.
//
//   package   type(1) length(3, big-endian) body
//   message   flag(1) [id varint] [route] body        in packages of type DATA
//             flag: bit 0 = route is a 2-byte code, bits 1-3 = kind
//             route: length(1) text, or code(2, big-endian)

const Package = { handshake: 1, ack: 2, heartbeat: 3, data: 4, kick: 5 };
const Kind = { request: 0, notify: 1, response: 2, push: 3 };
const largestRequestId = 2 ** 31 - 1;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** What a request or a connection failed with; `code` is 'timeout', 'closed', 'refused' or 'protocol'. */
export class PomeloError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'PomeloError';
    this.code = code;
  }
}

/**
 * One connection to one frontend server. It never reconnects: a lost connection is a lost session, and what
 * to do then is the application's decision. A closed client is not used again.
 *
 * Events (see `on`): any pushed route; `disconnect` with `{reason}`, once; `kick` with the server's object.
 */
export class PomeloClient {
  #socket = null;
  #state = 'idle'; // idle -> connecting -> working -> closed
  #options;
  #listeners = new Map();
  #pending = new Map();
  #lastId = 0;
  #codeOf = new Map();
  #routeOf = new Map();
  #opening = null;
  #heartbeat = { interval: 0, send: null, watch: null };

  /** `WebSocket` and `timers` ({set(ms, f), clear(token)}) stand in for the platform's. */
  constructor({ WebSocket = globalThis.WebSocket, deadlineSeconds = 30, timers = platformTimers } = {}) {
    this.#options = { WebSocket, deadlineSeconds, timers };
  }

  /** Connects and shakes hands; resolves with the handshake's `user` part. Encrypted where its page is, unless told. */
  init(host, port, { user, tls = globalThis.location?.protocol === 'https:' } = {}) {
    if (this.#state !== 'idle') throw new PomeloError('closed', 'this client was used before');
    this.#state = 'connecting';
    const scheme = tls ? 'wss' : 'ws';
    return new Promise((resolve, reject) => {
      const deadline = this.#after(this.#options.deadlineSeconds * 1000, () => this.#close('handshake timeout'));
      this.#opening = { resolve, reject, deadline };
      const socket = new this.#options.WebSocket(`${scheme}://${host}:${port}/`);
      this.#socket = socket;
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => this.#shakeHands(user);
      socket.onmessage = (event) => this.#receive(event.data);
      socket.onclose = () => this.#close('connection closed');
      socket.onerror = () => this.#close('connection failed');
    });
  }

  /** Asks the server and resolves with its answer, whatever its `code`; rejects on timeout or close. */
  request(route, body = {}) {
    if (this.#state !== 'working') return Promise.reject(new PomeloError('closed', 'not connected'));
    this.#lastId = this.#lastId === largestRequestId ? 1 : this.#lastId + 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const deadline = this.#after(this.#options.deadlineSeconds * 1000, () => {
        this.#pending.delete(id);
        reject(new PomeloError('timeout', `${route} was not answered in time`));
      });
      this.#pending.set(id, { resolve, reject, deadline });
      this.#send(Package.data, encodeMessage(Kind.request, id, route, body, this.#codeOf));
    });
  }

  /** Tells the server something and expects no answer. */
  notify(route, body = {}) {
    if (this.#state !== 'working') throw new PomeloError('closed', 'not connected');
    this.#send(Package.data, encodeMessage(Kind.notify, 0, route, body, this.#codeOf));
  }

  /** Listens to a pushed route or to one of the client's own events; returns a function that stops it. */
  on(route, listener) {
    const listeners = this.#listeners.get(route) ?? new Set();
    this.#listeners.set(route, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Closes the connection. Open requests are rejected; `disconnect` is emitted. */
  disconnect() {
    this.#close('disconnected by the client');
  }

  get connected() {
    return this.#state === 'working';
  }

  // ---- inside

  #shakeHands(user) {
    const hello = { sys: { type: 'js-websocket', version: '0.0.1' }, ...(user === undefined ? {} : { user }) };
    this.#send(Package.handshake, utf8.encode(JSON.stringify(hello)));
  }

  #receive(data) {
    if (this.#state === 'closed') return;
    this.#stop('watch'); // any package proves that the server is there
    try {
      const bytes = typeof data === 'string' ? utf8.encode(data) : new Uint8Array(data);
      for (const { type, body } of packages(bytes)) this.#handle(type, body);
    } catch (error) {
      console.error(error);
      this.#close('protocol error');
    }
  }

  #handle(type, body) {
    switch (type) {
      case Package.handshake: return this.#finishHandshake(JSON.parse(text.decode(body)));
      case Package.heartbeat: return this.#scheduleHeartbeat();
      case Package.data: return this.#deliver(decodeMessage(body, this.#routeOf));
      case Package.kick: return this.#kicked(body.length > 0 ? JSON.parse(text.decode(body)) : {});
      default: throw new PomeloError('protocol', `unknown package type ${type}`);
    }
  }

  #finishHandshake({ code, sys = {}, user }) {
    if (this.#state !== 'connecting') return;
    if (code !== 200) {
      const why = code === 501 ? 'this client is too old for the server' : `handshake refused (${code})`;
      return this.#close(why);
    }
    for (const [route, number] of Object.entries(sys.dict ?? {})) {
      this.#codeOf.set(route, number);
      this.#routeOf.set(number, route);
    }
    this.#heartbeat.interval = (sys.heartbeat ?? 0) * 1000;
    this.#state = 'working';
    this.#send(Package.ack);
    this.#clear(this.#opening.deadline);
    this.#opening.resolve(user);
    this.#opening = null;
  }

  // The server answers each heartbeat at once, so the client's pause sets the pace.
  #scheduleHeartbeat() {
    const { interval, send } = this.#heartbeat;
    if (interval === 0 || send !== null) return;
    this.#heartbeat.send = this.#after(interval, () => {
      this.#heartbeat.send = null;
      this.#send(Package.heartbeat);
      this.#heartbeat.watch = this.#after(interval * 2, () => this.#close('heartbeat timeout'));
    });
  }

  #deliver({ kind, id, route, body }) {
    if (kind === Kind.push) return this.#emit(route, body);
    const waiting = this.#pending.get(id);
    if (kind !== Kind.response || waiting === undefined) return;
    this.#pending.delete(id);
    this.#clear(waiting.deadline);
    waiting.resolve(body);
  }

  #kicked(reason) {
    this.#emit('kick', reason);
    this.#close('kicked');
  }

  #send(type, body = new Uint8Array(0)) {
    this.#socket.send(encodePackage(type, body));
  }

  #close(reason) {
    if (this.#state === 'closed') return;
    const opening = this.#opening;
    const wasWorking = this.#state === 'working';
    this.#state = 'closed';
    this.#opening = null;
    this.#stop('send');
    this.#stop('watch');
    this.#socket?.close();
    if (opening !== null) {
      this.#clear(opening.deadline);
      opening.reject(new PomeloError('refused', reason));
    }
    for (const waiting of this.#pending.values()) {
      this.#clear(waiting.deadline);
      waiting.reject(new PomeloError('closed', reason));
    }
    this.#pending.clear();
    if (wasWorking) this.#emit('disconnect', { reason });
  }

  // One listener's mistake must reach neither the other listeners nor the connection.
  #emit(event, value) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        console.error(error);
      }
    }
  }

  #after(milliseconds, action) {
    return this.#options.timers.set(milliseconds, action);
  }

  #clear(token) {
    this.#options.timers.clear(token);
  }

  #stop(timer) {
    if (this.#heartbeat[timer] !== null) this.#clear(this.#heartbeat[timer]);
    this.#heartbeat[timer] = null;
  }
}

const platformTimers = {
  set: (milliseconds, action) => setTimeout(action, milliseconds),
  clear: (token) => clearTimeout(token),
};

// ---- codecs

function encodePackage(type, body) {
  const { length } = body;
  if (length > 0xffffff) throw new PomeloError('protocol', 'body is too long');
  const bytes = new Uint8Array(4 + length);
  bytes.set([type, length >> 16, (length >> 8) & 0xff, length & 0xff]);
  bytes.set(body, 4);
  return bytes;
}

function* packages(bytes) {
  let at = 0;
  while (at < bytes.length) {
    const length = (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    const end = at + 4 + length;
    if (bytes.length < at + 4 || bytes.length < end) throw new PomeloError('protocol', 'package is cut off');
    yield { type: bytes[at], body: bytes.subarray(at + 4, end) };
    at = end;
  }
}

function encodeMessage(kind, id, route, body, codeOf) {
  const code = codeOf.get(route);
  const head = [(kind << 1) | (code === undefined ? 0 : 1)];
  if (kind === Kind.request) head.push(...varint(id));
  if (code === undefined) {
    const name = utf8.encode(route);
    if (name.length > 0xff) throw new PomeloError('protocol', 'route is too long');
    head.push(name.length, ...name);
  } else {
    head.push(code >> 8, code & 0xff);
  }
  const content = utf8.encode(JSON.stringify(body));
  const bytes = new Uint8Array(head.length + content.length);
  bytes.set(head);
  bytes.set(content, head.length);
  return bytes;
}

function decodeMessage(bytes, routeOf) {
  const kind = (bytes[0] >> 1) & 0b111;
  let at = 1;
  let id = 0;
  let route;
  if (kind === Kind.request || kind === Kind.response) [id, at] = readVarint(bytes, at);
  if (kind !== Kind.response) {
    if ((bytes[0] & 1) === 1) {
      const code = (bytes[at] << 8) | bytes[at + 1];
      route = routeOf.get(code);
      if (route === undefined) throw new PomeloError('protocol', `unknown route code ${code}`);
      at += 2;
    } else {
      const end = at + 1 + bytes[at];
      route = text.decode(bytes.subarray(at + 1, end));
      at = end;
    }
  }
  if (at > bytes.length) throw new PomeloError('protocol', 'message is cut off');
  const content = text.decode(bytes.subarray(at));
  return { kind, id, route, body: content === '' ? {} : JSON.parse(content) };
}

function varint(value) {
  const bytes = [];
  while (value > 0x7f) {
    bytes.push((value & 0x7f) | 0x80);
    value = Math.floor(value / 0x80);
  }
  return [...bytes, value];
}

function readVarint(bytes, at) {
  let value = 0;
  for (let scale = 1; at < bytes.length && scale < 2 ** 35; scale *= 0x80) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at];
  }
  throw new PomeloError('protocol', 'message id is malformed');
}
