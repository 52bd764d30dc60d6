// SPDX-License-Identifier: MIT
//
// The processes of a campaign, and a supervisor that starts servers again after they ended.

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const startSeconds = 90;

/** Processes with names; their output goes to files, so that nobody waits for a reader. */
export class Processes {
  #children = new Map();
  /** Where in its file the output of each process begins. */
  #starts = new Map();
  // So that nothing outlives the campaign, however it ends.
  #leash = spawnSync('setpriv', ['--version']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL'] : [];

  constructor(folder) {
    this.folder = folder;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    process.on('exit', () => {
      for (const name of this.#children.keys()) this.signal(name, 'SIGKILL');
    });
  }

  spawn(name, command, words) {
    const output = openSync(this.log(name), 'a');
    this.#starts.set(name, fstatSync(output).size);
    const [first, ...rest] = [...this.#leash, command, ...words];
    const child = spawn(first, rest, { stdio: ['ignore', output, output] });
    child.on('error', (error) => console.error(`${name}: ${error.message}`));
    closeSync(output);
    this.#children.set(name, child);
    return child;
  }

  isRunning(name) {
    const child = this.#children.get(name);
    return child !== undefined && child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  signal(name, signal) {
    if (this.isRunning(name)) this.#children.get(name).kill(signal);
  }

  /** Ends a process as a crash does; resolves when it is gone. */
  kill(name) {
    return this.#end(name, 'SIGKILL');
  }

  /** Ends a process in order; one that does not is killed, and that is an error. */
  async stop(name, seconds = 20) {
    const stubborn = setTimeout(() => this.signal(name, 'SIGKILL'), seconds * 1000);
    const child = this.#children.get(name);
    await this.#end(name, 'SIGTERM');
    clearTimeout(stubborn);
    if (child?.exitCode !== 0) throw new Error(`${name} ended with ${child?.signalCode ?? child?.exitCode}`);
  }

  #end(name, signal) {
    if (!this.isRunning(name)) return Promise.resolve();
    const gone = new Promise((resolve) => this.#children.get(name).once('exit', resolve));
    this.signal(name, signal);
    return gone;
  }

  log(name) {
    return join(this.folder, `${name}.log`);
  }

  /** What the process of that name has written, up to 64 KiB of it, after a line end. */
  output(name) {
    const file = openSync(this.log(name), 'r');
    const bytes = Buffer.alloc(65_536);
    const length = readSync(file, bytes, 0, bytes.length, this.#starts.get(name));
    closeSync(file);
    return `\n${bytes.toString('utf8', 0, length)}`;
  }

  /** Its last lines. */
  tail(name, lines = 3) {
    return this.output(name).trimEnd().split('\n').slice(-lines);
  }
}

/** The servers of one `servers.json`. */
export class Servers {
  #processes;
  #program;
  #config;
  #faults = [];
  #wanted = new Set();

  /** `onExit(id, text)` hears of servers that were up and ended by themselves. */
  constructor(processes, program, config, onExit) {
    Object.assign(this, { onExit });
    this.#processes = processes;
    this.#program = program;
    this.#config = config;
    const read = (name) => JSON.parse(readFileSync(join(config, `${name}.json`), 'utf8')).development;
    this.byType = read('servers');
    this.master = read('master');
    this.redis = read('redis');
    this.all = [this.master, ...Object.values(this.byType).flat()];
  }

  ids(type) {
    return this.byType[type].map((server) => server.id);
  }

  get gate() {
    return { host: '127.0.0.1', port: this.byType.gate[0].clientPort };
  }

  /** The connector that takes clients at a port. */
  connectorAt(port) {
    return this.byType.connector.find((server) => server.clientPort === port)?.id;
  }

  async startAll() {
    await Promise.all(this.all.map(({ id }) => this.start(id)));
  }

  async stopAll() {
    this.#wanted.clear();
    await Promise.all(this.all.map(({ id }) => this.#processes.stop(id)));
  }

  /** Starts a server, as often as it takes, and resolves when it is up. */
  async start(id) {
    this.#wanted.add(id);
    for (const end = Date.now() + startSeconds * 1000; Date.now() < end; await pause(500)) {
      if (await this.#attempt(id, end)) return;
    }
    throw new Error(`${id} was not up after ${startSeconds} s: ${this.#processes.tail(id).join(' / ')}`);
  }

  /** Runs the program with other words beside the server of that id; resolves with how it ended, or null. */
  async startTwin(id, words, seconds) {
    const name = `${id}-twin`;
    const child = this.#processes.spawn(name, this.#program, [...this.#words(id), ...words]);
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(50)) {
      if (!this.#processes.isRunning(name)) return child.exitCode;
    }
    await this.#processes.kill(name);
    return null;
  }

  /** Ends a server as a crash does. */
  kill(id) {
    this.#wanted.delete(id);
    return this.#processes.kill(id);
  }

  signal(id, signal) {
    this.#processes.signal(id, signal);
  }

  // ---- whose fault it is

  /** From now on what the clients of this server suffer is its fault; `kind` is 'kill' or 'pause'. */
  strike(id, kind) {
    const fault = { id, kind, begin: Date.now(), end: Infinity };
    this.#faults.push(fault);
    return fault;
  }

  /** The faults of a server that began after a time. */
  faults(id, since) {
    return this.#faults.filter((fault) => fault.id === id && fault.begin >= since);
  }

  // ---- inside

  #words(id) {
    return ['--env', 'development', '--id', id, '--config', this.#config];
  }

  /** Whether it came up; false when it ended before. */
  async #attempt(id, end) {
    const child = this.#processes.spawn(id, this.#program, this.#words(id));
    for (; Date.now() < end; await pause(50)) {
      if (!this.#processes.isRunning(id)) return !this.#wanted.has(id);
      if (!this.#processes.output(id).includes(`\nup ${id}\n`)) continue;
      child.once('exit', () => this.#ended(id, child));
      return true;
    }
    return false;
  }

  #ended(id, child) {
    if (!this.#wanted.has(id)) return;
    this.onExit(id, `${child.signalCode ?? child.exitCode}: ${this.#processes.tail(id).join(' / ')}`);
    this.start(id).catch((error) => this.onExit(id, error.message));
  }
}
