// SPDX-License-Identifier: MIT
//
// The Chat example as a cluster of its own: config/ with every port replaced by a free one, a private Redis, one
// process a server. Nothing here touches a cluster that a developer has running.

import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

const startSeconds = 30;

export class Cluster {
  #processes = new Map();
  #servers = {};

  constructor(root, bin) {
    this.root = root;
    this.bin = bin;
    this.folder = join(root, '.build', 'clients');
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    process.on('exit', () => this.#kill());
  }

  /** Starts everything; resolves when each server has said that it is up. */
  async start() {
    const { servers, master, redisPort } = await this.#configure();
    this.#servers = servers;
    const gate = servers.gate[0];
    this.gate = { host: '127.0.0.1', port: gate.clientPort };
    this.pagePort = await freePort();
    await this.#run('redis', 'redis-server', [
      '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'no',
    ], /Ready to accept connections/);
    const ids = [master, ...Object.values(servers).flat()].map((server) => server.id);
    await Promise.all([
      ...ids.map((id) => this.startServer(id)),
      this.#run('page', join(this.bin, '..', 'page', basename(this.bin), 'ChatPage'), [
        '--port', String(this.pagePort), '--gate-port', String(gate.clientPort),
      ], 'up page'),
    ]);
  }

  /** Starts one server; also again, after `kill`. */
  startServer(id) {
    const words = ['--env', 'development', '--id', id, '--config', this.folder];
    return this.#run(id, join(this.bin, 'Chat'), words, `up ${id}`);
  }

  /** The id of the server that takes clients on a port. */
  serverAt(clientPort) {
    return Object.values(this.#servers).flat().find((server) => server.clientPort === clientPort)?.id;
  }

  /** Ends a server as a crash does. */
  kill(id) {
    this.#processes.get(id).kill('SIGKILL');
  }

  /** Has a server stand still, as on a machine that swaps, until `thaw`. */
  freeze(id) {
    this.#processes.get(id).kill('SIGSTOP');
  }

  thaw(id) {
    this.#processes.get(id).kill('SIGCONT');
  }

  async stop() {
    for (const child of [...this.#processes.values()].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const impatience = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(impatience);
    }
  }

  async #configure() {
    const read = (name) => JSON.parse(readFileSync(join(this.root, 'config', name), 'utf8')).development;
    const write = (name, value) => {
      writeFileSync(join(this.folder, name), JSON.stringify({ development: value }, null, 2));
    };
    const [servers, master, redis] = ['servers.json', 'master.json', 'redis.json'].map(read);
    for (const server of [master, ...Object.values(servers).flat()]) {
      server.port = await freePort();
      if (server.clientPort !== undefined) server.clientPort = await freePort();
    }
    redis.host = '127.0.0.1';
    redis.port = await freePort();
    write('servers.json', servers);
    write('master.json', master);
    write('redis.json', redis);
    return { servers, master, redisPort: redis.port };
  }

  #run(name, command, words, sign) {
    const log = join(this.folder, `${name}.log`);
    const output = createWriteStream(log, { flags: 'a' });
    const child = spawn(command, words, { cwd: this.root, stdio: ['ignore', 'pipe', 'pipe'] });
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

/** A port below the range from which the system serves outgoing connections, so nobody gets it meanwhile. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
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
