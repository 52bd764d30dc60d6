// SPDX-License-Identifier: MIT
//
// A client in a process of its own that says and hears lines (c/orders.h): as `life.mjs` wants a person.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { deadlineSeconds } from './people.mjs';

const begun = new Set();
process.on('exit', () => begun.forEach((child) => child.kill('SIGKILL')));

export class Program {
  #child;
  #name;
  #lines = [];
  #wake = () => {};
  #lastNumber = 0;
  #complaints = '';
  #ended;

  constructor(command, words) {
    this.#name = command.split('/').pop();
    this.#child = spawn(command, words, { stdio: 'pipe' });
    begun.add(this.#child);
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.on('data', (text) => { this.#complaints += text; });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(line));
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) => resolve(signal ?? code));
    });
    this.#ended.then((how) => {
      begun.delete(this.#child);
      this.#hear(`ended ${how}`);
    });
  }

  /** Resolves when the client has connected, or is back. */
  async connected() {
    await this.#next('connected', 60);
  }

  async ask(route, body) {
    const number = ++this.#lastNumber;
    this.#order(`ask ${number} ${route} ${JSON.stringify(body)}`);
    return JSON.parse(await this.#next(`answer ${number}`));
  }

  tell(route, body) {
    this.#order(`tell ${route} ${JSON.stringify(body)}`);
  }

  async heard(route) {
    return JSON.parse(await this.#next(`push ${route}`));
  }

  /** Why, where the client tells. */
  async kicked() {
    const why = await this.#next('kicked');
    return why === '' ? undefined : JSON.parse(why);
  }

  async lost() {
    await this.#next('lost');
  }

  /** Forgets what it was pushed. */
  forget() {
    this.#lines = this.#lines.filter((line) => !line.startsWith('push '));
  }

  /** Ends the connection and the process, which must end well. */
  async leave() {
    this.#child.stdin.end();
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), deadlineSeconds * 1000);
    const how = await this.#ended;
    clearTimeout(impatience);
    assert.equal(how, 0, this.#state());
  }

  #order(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  #hear(line) {
    this.#lines.push(line);
    this.#wake();
  }

  /** What follows the words in the next line that begins with them. */
  async #next(words, seconds = deadlineSeconds) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const index = this.#lines.findIndex((line) => line === words || line.startsWith(`${words} `));
      if (index >= 0) return this.#lines.splice(index, 1)[0].slice(words.length + 1);
      const left = end - Date.now();
      const hasEnded = this.#lines.some((line) => line.startsWith('ended '));
      assert.ok(left > 0 && !hasEnded, `no “${words}”: ${this.#state()}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #state() {
    return `${this.#name} said ${JSON.stringify(this.#lines)} and complained: ${this.#complaints}`;
  }
}
