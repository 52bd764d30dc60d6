// SPDX-License-Identifier: MIT
//
// Just enough of a browser's WebSocket (RFC 6455, client side) for Node 18 and 20, which have none. It trusts the
// server: the rules of the protocol are tested elsewhere, this only lets browser code run in Node.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const Opcode = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

export class NodeWebSocket {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;

  binaryType = 'arraybuffer';
  readyState = NodeWebSocket.CONNECTING;
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  #socket;
  #input = Buffer.alloc(0);

  constructor(address) {
    const { hostname, port, pathname } = new URL(address);
    this.url = address;
    this.#socket = connect({ host: hostname, port: Number(port || 80), noDelay: true });
    this.#socket.on('connect', () => this.#socket.write(upgradeRequest(hostname, port, pathname)));
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.on('error', (error) => this.onerror?.({ type: 'error', message: error.message }));
    this.#socket.on('close', () => this.#closed());
  }

  send(data) {
    if (this.readyState !== NodeWebSocket.OPEN) return;
    if (typeof data === 'string') return this.#write(Opcode.text, Buffer.from(data));
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data);
    this.#write(Opcode.binary, Buffer.from(view.buffer, view.byteOffset, view.byteLength));
  }

  close() {
    if (this.readyState === NodeWebSocket.OPEN) this.#write(Opcode.close, Buffer.from([0x03, 0xe8]));
    if (this.readyState < NodeWebSocket.CLOSING) this.readyState = NodeWebSocket.CLOSING;
    this.#socket.end();
  }

  #receive(bytes) {
    this.#input = Buffer.concat([this.#input, bytes]);
    if (this.readyState === NodeWebSocket.CONNECTING && !this.#upgraded()) return;
    for (let frame = this.#nextFrame(); frame !== null; frame = this.#nextFrame()) this.#handle(frame);
  }

  #upgraded() {
    const end = this.#input.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#input.subarray(0, end).toString('latin1');
    this.#input = this.#input.subarray(end + 4);
    if (!head.startsWith('HTTP/1.1 101')) {
      this.onerror?.({ type: 'error', message: head });
      this.#socket.destroy();
      return false;
    }
    this.readyState = NodeWebSocket.OPEN;
    this.onopen?.({ type: 'open' });
    return true;
  }

  #nextFrame() {
    const input = this.#input;
    if (input.length < 2) return null;
    const short = input[1] & 0x7f;
    const start = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (input.length < start) return null;
    const long = short === 127 ? Number(input.readBigUInt64BE(2)) : short === 126 ? input.readUInt16BE(2) : short;
    if (input.length < start + long) return null;
    this.#input = input.subarray(start + long);
    return { opcode: input[0] & 0x0f, payload: input.subarray(start, start + long) };
  }

  #handle({ opcode, payload }) {
    if (opcode === Opcode.ping) return this.#write(Opcode.pong, payload);
    if (opcode === Opcode.close) return this.close();
    if (opcode === Opcode.text) return this.onmessage?.({ type: 'message', data: payload.toString() });
    if (opcode !== Opcode.binary) return;
    this.onmessage?.({ type: 'message', data: new Uint8Array(payload).buffer });
  }

  #write(opcode, payload) {
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 2 : length < 65536 ? 4 : 10);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (length < 126 ? length : length < 65536 ? 126 : 127);
    if (head.length === 4) head.writeUInt16BE(length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
    const mask = randomBytes(4);
    const masked = Buffer.from(payload.map((byte, index) => byte ^ mask[index & 3]));
    this.#socket.write(Buffer.concat([head, mask, masked]));
  }

  #closed() {
    if (this.readyState === NodeWebSocket.CLOSED) return;
    this.readyState = NodeWebSocket.CLOSED;
    this.onclose?.({ type: 'close' });
  }
}

function upgradeRequest(host, port, path) {
  const lines = [
    `GET ${path} HTTP/1.1`, `Host: ${host}:${port}`, 'Upgrade: websocket', 'Connection: Upgrade',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Version: 13', '', '',
  ];
  return lines.join('\r\n');
}
