// SPDX-License-Identifier: MIT
//
// What `pomelo init` makes, for each connector: the two commands of its README, and a chat of two browsers on its page.
//
//   node Tests/Init/run.mjs [--folder .build/init] [--tool .build/debug/pomelo]

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Browser, findChromium } from '../Clients/support/browser.mjs';
import { freePort } from '../Clients/support/cluster.mjs';
import { answersDatagrams, answersMQTT, homeThatBelieves } from './connectors.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values: options } = parseArgs({
  options: {
    folder: { type: 'string', default: join(root, '.build', 'init') },
    tool: { type: 'string', default: join(root, '.build', 'debug', 'pomelo') },
  },
});
const folder = resolve(options.folder);
/** Kept, so that only the first build is long. */
const scratch = join(folder, 'build');
const app = join(folder, 'lobby');

const children = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
process.on('SIGTERM', () => process.exit(143));
process.on('SIGINT', () => process.exit(130));

function tool(words, input = '') {
  const { status, stdout, stderr } = spawnSync(options.tool, words, { cwd: folder, encoding: 'utf8', input });
  return { status, said: stdout, complaint: stderr };
}

function swift(...words) {
  const place = ['--package-path', app, '--scratch-path', scratch];
  const { status } = spawnSync('swift', [...words, ...place], { stdio: 'inherit' });
  assert.equal(status, 0, `swift ${words.join(' ')} failed`);
}

function change(file, edit) {
  const path = join(app, file);
  writeFileSync(path, edit(readFileSync(path, 'utf8')));
}

/** Ports that are free here, in the place of those that a project begins with. */
async function movePorts() {
  const ports = {};
  for (const port of ['3150', '3010', '4001', '4002', '3005', '6379']) ports[port] = String(await freePort());
  for (const file of ['config/servers.json', 'config/master.json', 'config/redis.json', 'page/index.html']) {
    change(file, (text) => text.replace(/\b(3150|3010|4001|4002|3005|6379)\b/g, (port) => ports[port]));
  }
  return Number(ports[3010]);
}

/** Starts the whole cluster; resolves when it says that it is up. */
function start() {
  const program = join(scratch, 'debug', 'Lobby');
  const child = spawn(program, ['start', '--redis', 'standalone'], { cwd: app, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error('Lobby was not up after 40 s')), 40_000);
    child.once('exit', (code, signal) => failed(new Error(`Lobby ended with ${signal ?? code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      console.log(`    ${line}`);
      if (!line.startsWith('Lobby is up: ')) return;
      clearTimeout(late);
      done(child);
    });
  });
}

async function stop(child) {
  const gone = new Promise((done) => child.once('exit', (code) => done(code)));
  child.kill('SIGTERM');
  assert.equal(await gone, 0, 'start did not end in order');
}

async function enter(browser, name) {
  const page = await browser.open(pathToFileURL(join(app, 'page', 'index.html')).href);
  await page.until(`document.querySelector('#door button')`);
  await page.type('#door input[name=name]', name);
  await page.click('#door button');
  await page.until(`document.querySelector('#people').textContent.startsWith('Here:')`);
  return page;
}

async function chat(picture, env) {
  const browser = new Browser(findChromium(), env);
  const ann = await enter(browser, 'ann');
  const bob = await enter(browser, 'bob');
  await ann.until(`document.querySelector('#people').textContent === 'Here: ann, bob'`);
  await bob.type('#say input', 'hello');
  await bob.click('#say button');
  const heard = `document.querySelector('#log').textContent.includes('bob: hello')`;
  for (const page of [ann, bob]) await page.until(heard);
  await ann.resize({ width: 375, height: 667 });
  await ann.painted();
  await ann.screenshot(join(folder, picture));
  assert.deepEqual([...ann.complaints, ...bob.complaints], []);
  await browser.close();
}

function refuses() {
  mkdirSync(join(folder, 'full'), { recursive: true });
  writeFileSync(join(folder, 'full', 'own.txt'), 'mine');
  const refused = tool(['init', 'full'], 'n\n');
  assert.equal(refused.status, 1);
  assert.match(refused.complaint, /full is not empty/);
  assert.ok(!existsSync(join(folder, 'full', 'Package.swift')));
  assert.match(tool(['init', '1234', '--yes']).complaint, /gives no name for a program/);
  assert.match(tool(['list']).complaint, /there is no Package.swift in this folder/);
}

async function main() {
  rmSync(app, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  refuses();
  for (const connector of ['hybrid', 'socketio', 'wss', 'udp', 'mqtt']) {
    rmSync(app, { recursive: true, force: true });
    const made = tool(['init', 'lobby', '--yes', '--connector', connector]);
    assert.equal(made.status, 0, made.complaint);
    const port = await movePorts();
    const env = connector === 'wss' ? { HOME: homeThatBelieves(join(app, 'certs')) } : {};
    swift('build', '--build-tests');
    swift('test', '--skip-build', '--disable-xctest');
    const child = await start();
    const list = tool(['--program', join(scratch, 'debug', 'Lobby'), 'list', '--config', join(app, 'config')]);
    assert.equal(list.said.trim().split('\n').length, 5, list.complaint);
    await chat(`lobby-${connector}.png`, env);
    if (connector === 'udp') await answersDatagrams(port);
    if (connector === 'mqtt') await answersMQTT(port);
    await stop(child);
    console.log(`ok       pomelo init --connector ${connector}: builds, passes its test, chats`);
  }
}

main().then(() => process.exit(0), (error) => {
  console.log(`FAILED   pomelo init: ${error.stack}`);
  process.exit(1);
});
