// SPDX-License-Identifier: MIT
//
// Headless Chromium over its debugging pipe: JSON commands on file descriptor 3, answers and events on 4, each
// ended by a zero byte. (Chrome DevTools Protocol; `--remote-debugging-pipe`.)

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The installed Chromium's command, or null. */
export function findChromium() {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return names.find((name) => spawnSync(name, ['--version']).status === 0) ?? null;
}

export class Browser {
  #child;
  #profile = mkdtempSync(join(tmpdir(), 'chat-browser-'));
  #lastId = 0;
  #waiting = new Map();
  #input = '';
  #pages = new Map();
  #kill = () => this.#child.kill('SIGKILL');

  /** `env` stands above this process's own environment. */
  constructor(command, env = {}) {
    const flags = [
      '--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
      '--no-first-run', '--disable-extensions', '--hide-scrollbars', `--user-data-dir=${this.#profile}`,
    ];
    this.#child = spawn(command, flags, {
      env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#child.stdio[4].setEncoding('utf8').on('data', (text) => this.#receive(text));
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser ended'));
    });
    process.on('exit', this.#kill);
  }

  /** A new page; `isPhone`: with a finger, and the browser's own ways of phones; `first` is called in it before all. */
  async open(address, { width = 1000, height = 680, isPhone = false, first = () => {} } = {}) {
    // A context of its own: two pages are two people, not two tabs of one.
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const target = { url: 'about:blank', browserContextId, width, height };
    const { targetId } = await this.send('Target.createTarget', target);
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId);
    this.#pages.set(sessionId, page);
    await page.send('Runtime.enable');
    await page.send('Log.enable');
    await page.send('Network.enable');
    await page.send('Emulation.setFocusEmulationEnabled', { enabled: true });
    await page.send('Emulation.setTouchEmulationEnabled', { enabled: isPhone });
    await page.resize({ width, height, isPhone });
    await page.send('Page.enable');
    await page.send('Page.addScriptToEvaluateOnNewDocument', { source: `(${first})()` });
    await page.send('Page.navigate', { url: address });
    return page;
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async close() {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.send('Browser.close').catch(this.#kill);
    await gone;
    process.off('exit', this.#kill);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #receive(text) {
    const parts = (this.#input + text).split('\0');
    this.#input = parts.pop();
    for (const part of parts) {
      const { id, result, error, method, params, sessionId } = JSON.parse(part);
      if (id === undefined) {
        this.#pages.get(sessionId)?.note(method, params);
        continue;
      }
      const { resolve, reject } = this.#waiting.get(id) ?? {};
      this.#waiting.delete(id);
      if (error !== undefined) reject?.(new Error(error.message));
      else resolve?.(result);
    }
  }
}

class Page {
  constructor(browser, sessionId) {
    this.browser = browser;
    this.sessionId = sessionId;
    this.complaints = [];
    /** What went over the page's WebSockets, as text. */
    this.sent = [];
    this.received = [];
  }

  /** Keeps what the page's console would show in red, and what it sends and receives. */
  note(method, params) {
    if (method === 'Runtime.exceptionThrown') this.complaints.push(params.exceptionDetails.exception?.description);
    if (method === 'Log.entryAdded' && params.entry.level === 'error') this.complaints.push(params.entry.text);
    const frames = { 'Network.webSocketFrameSent': this.sent, 'Network.webSocketFrameReceived': this.received }[method];
    frames?.push(Buffer.from(params.response.payloadData, 'base64').toString());
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  /** Runs an expression in the page and returns its value. */
  async evaluate(expression) {
    const answer = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails !== undefined) {
      throw new Error(`${expression}: ${answer.exceptionDetails.exception?.description}`);
    }
    return answer.result.value;
  }

  /** Calls a function in the page, with values that JSON can say, and returns its value. */
  run(action, ...values) {
    return this.evaluate(`(${action})(...${JSON.stringify(values)})`);
  }

  /** Waits until an expression is true in the page. */
  async until(expression, seconds = 20) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(50)) {
      if (await this.evaluate(`Boolean(${expression})`)) return;
    }
    const screen = await this.evaluate('document.body?.innerText');
    const complaints = this.complaints.join('\n');
    throw new Error(`never true: ${expression}\nthe page shows:\n${screen}\nand complains:\n${complaints}`);
  }

  /** Types into a field as a person does, so that the page's own events fire. */
  async type(selector, text) {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`);
    await this.send('Input.insertText', { text });
  }

  async click(selector) {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** Presses a key as a person does: `Tab`, `Enter`, `Escape`; `isBack` with Shift. */
  async press(key, { isBack = false } = {}) {
    const code = { Tab: 9, Enter: 13, Escape: 27 }[key];
    const event = { key, code: key, windowsVirtualKeyCode: code, modifiers: isBack ? 8 : 0 };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event, text: key === 'Enter' ? '\r' : undefined });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  resize({ width, height, isPhone = false }) {
    return this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: isPhone });
  }

  /** What the system prefers: `light` or `dark`. */
  prefer(scheme) {
    return this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  /** Resolves when all that was asked for is on the screen. */
  painted() {
    return this.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))');
  }

  async screenshot(file) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }
}
