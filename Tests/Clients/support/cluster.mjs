// SPDX-License-Identifier: MIT
//
// An example as a cluster of its own: its configuration with every port replaced by a free one, a private Redis, one
// process a server. Nothing here touches a cluster that a developer has running.

import { spawn } from 'node:child_process';
import { copyFileSync, createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

const startSeconds = 30;

export class Cluster {
  #processes = new Map();
  #servers = {};

  constructor(root, bin, {
    program = 'Chat', config = 'config', folder = program, env = {}, ports = {}, guests = false, tls = null,
    files = {},
  } = {}) {
    this.root = root;
    this.bin = bin;
    this.program = program;
    this.config = join(root, config);
    this.env = { ...process.env, ...env };
    // Folders of clients mean nothing to servers, which say so.
    for (const name of ['JS_CLIENT', 'LIBPITAYA', 'LIBPOMELO2']) delete this.env[`POMELO_${name}`];
    /** For clients, by a server's id; others are chosen. */
    this.ports = ports;
    /** Whether guests are remembered. */
    this.guests = guests;
    /** What is shown to clients, whose ports are encrypted then: `{ certificate, key }`. */
    this.tls = tls;
    /** Further files of the configuration, which are the same for all environments: `{ name: value }`. */
    this.files = files;
    this.folder = join(root, '.build', 'clients', folder);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    process.on('exit', () => this.#kill());
  }

  /** Starts everything; resolves when each server has said that it is up. */
  async start() {
    const { servers, master, redisPort } = await this.#configure();
    this.#servers = servers;
    /** Where clients begin: the gate, or the only connector. */
    this.gate = { host: '127.0.0.1', port: (servers.gate ?? servers.connector)[0].clientPort };
    await this.#run('redis', 'redis-server', [
      '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'no',
    ], /Ready to accept connections/);
    const ids = [master, ...Object.values(servers).flat()].map((server) => server.id);
    await Promise.all(ids.map((id) => this.startServer(id)));
  }

  /** Starts the page's server. */
  async startPage() {
    this.pagePort = await freePort();
    await this.#run('page', join(this.bin, '..', 'page', basename(this.bin), 'ChatPage'), [
      '--port', String(this.pagePort), '--gate-port', String(this.gate.port),
    ], /^up page /);
  }

  /** Starts one server; also again, after `kill` or `end`. */
  startServer(id) {
    const words = ['--env', 'development', '--id', id, '--config', this.folder];
    return this.#run(id, join(this.bin, this.program), words, `up ${id}`);
  }

  /** The id of the server that takes clients on a port. */
  serverAt(clientPort) {
    return Object.values(this.#servers).flat().find((server) => server.clientPort === clientPort)?.id;
  }

  /** The port of a server's clients. */
  portOf(id) {
    return Object.values(this.#servers).flat().find((server) => server.id === id)?.clientPort;
  }

  /** Ends a server as a crash does; resolves when it is gone. */
  kill(id) {
    const child = this.#processes.get(id);
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    return gone;
  }

  /** Ends a server in order. */
  async end(id) {
    const child = this.#processes.get(id);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const impatience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(impatience);
  }

  /** Has a server stand still, as on a machine that swaps, until `thaw`. */
  freeze(id) {
    this.#processes.get(id).kill('SIGSTOP');
  }

  thaw(id) {
    this.#processes.get(id).kill('SIGCONT');
  }

  /** Ends every server in order, and starts all of them again. */
  async restart() {
    const ids = [...this.#processes.keys()].filter((name) => name !== 'redis' && name !== 'page');
    for (const id of ids) await this.end(id);
    await Promise.all(ids.map((id) => this.startServer(id)));
  }

  async stop() {
    for (const id of [...this.#processes.keys()].reverse()) await this.end(id);
  }

  async #configure() {
    const read = (name) => JSON.parse(readFileSync(join(this.config, name), 'utf8')).development;
    const write = (name, value) => {
      writeFileSync(join(this.folder, name), JSON.stringify({ development: value }, null, 2));
    };
    const [servers, master, redis] = ['servers.json', 'master.json', 'redis.json'].map(read);
    for (const server of [master, ...Object.values(servers).flat()]) {
      server.port = await freePort();
      if (server.clientPort !== undefined) server.clientPort = this.ports[server.id] ?? await freePort();
    }
    redis.host = '127.0.0.1';
    redis.port = await freePort();
    if (this.tls !== null) this.#encrypt(servers, read, write);
    write('servers.json', servers);
    write('master.json', master);
    write('redis.json', redis);
    if (this.guests) write('guests.json', { file: join(this.folder, 'guests.sqlite') });
    if (this.tls === null) copyFileSync(join(this.config, 'socketio.json'), join(this.folder, 'socketio.json'));
    for (const [name, value] of Object.entries(this.files)) {
      writeFileSync(join(this.folder, name), JSON.stringify(value));
    }
    return { servers, master, redisPort: redis.port };
  }

  /** Each connector of a port has an entry that says so, and a certificate in its own file. */
  #encrypt(servers, read, write) {
    const files = { hybrid: 'connector', socketio: 'socketio' };
    if (this.program === 'Chat') files.mqtt = 'mqtt';
    for (const server of Object.values(servers).flat()) {
      if (server.clientPort === undefined) continue;
      server.clients = Object.keys(files).map((type) => ({ type, port: server.clientPort, tls: true }));
    }
    for (const file of Object.values(files)) write(`${file}.json`, { tls: this.tls });
    write('socketio.json', { ...read('socketio.json'), tls: this.tls });
  }

  #run(name, command, words, sign) {
    const log = join(this.folder, `${name}.log`);
    const output = createWriteStream(log, { flags: 'a' });
    const child = spawn(command, words, { cwd: this.root, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#processes.set(name, child);
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    return new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`${name} ${why}; see ${log}`));
      const deadline = setTimeout(() => fail(`was not up after ${startSeconds} s`), startSeconds * 1000);
      child.once('error', (error) => fail(`did not start: ${error.message}`));
      child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (typeof sign === 'string' ? line !== sign : !sign.test(line)) return;
        clearTimeout(deadline);
        resolve();
      });
    });
  }

  #kill() {
    for (const child of this.#processes.values()) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    }
  }
}

const given = new Set();

/**
 * A port below the range from which the system serves outgoing connections, so nobody gets it meanwhile; those of the
 * Swift tests lie above.
 */
export async function freePort() {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 8_000);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
}

export function canListen(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
