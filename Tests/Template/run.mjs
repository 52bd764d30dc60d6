// SPDX-License-Identifier: MIT
//
// A package of a user's own: Template in an empty folder, with this checkout as its dependency. It must resolve what
// it needs and nothing else, pass its test, and answer a client.
//
//   node Tests/Template/run.mjs [--folder .build/template]

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../Clients/support/cluster.mjs';
import { newClient } from '../Clients/support/people.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values: options } = parseArgs({
  options: { folder: { type: 'string', default: join(root, '.build', 'template') } },
});
const folder = resolve(options.folder);
const app = join(folder, 'greeter');
/** Kept, so that only the first build is long. */
const scratch = join(folder, 'build');

/** What a user of the framework resolves. */
const packages = [
  'swift-argument-parser', 'swift-asn1', 'swift-collections', 'swift-crypto', 'swift-log', 'swift-metrics',
];

const children = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
process.on('SIGTERM', () => process.exit(143));
process.on('SIGINT', () => process.exit(130));

function copyOut() {
  rmSync(app, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'Template'), app, { recursive: true });
  change('Package.swift', (text) => {
    assert.ok(text.includes('path: "../pomelo-swift"'), 'Template/Package.swift has no path to replace');
    return text.replace('path: "../pomelo-swift"', `path: ${JSON.stringify(root)}`);
  });
}

function change(file, edit) {
  const path = join(app, file);
  writeFileSync(path, edit(readFileSync(path, 'utf8')));
}

function changeSection(name, edit) {
  change(`config/${name}.json`, (text) => {
    const document = JSON.parse(text);
    edit(document.development);
    return JSON.stringify(document, null, 2);
  });
}

function swift(...words) {
  const started = Date.now();
  const { status } = spawnSync('swift', [...words, '--package-path', app, '--scratch-path', scratch], {
    stdio: 'inherit',
  });
  assert.equal(status, 0, `swift ${words.join(' ')} failed`);
  console.log(`swift ${words[0]}: ${Math.round((Date.now() - started) / 1000)} s`);
}

/** Starts a program; resolves when it writes a line that is the sign, or has it. */
function start(command, words, sign) {
  const child = spawn(command, words, { cwd: app, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`${command} was not up after 30 s`)), 30_000);
    child.once('error', failed);
    child.once('exit', (code, signal) => failed(new Error(`${command} ended with ${signal ?? code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes(sign)) return;
      clearTimeout(late);
      done(child);
    });
  });
}

async function stop(child) {
  const gone = new Promise((done) => child.once('exit', (code) => done(code)));
  child.kill('SIGTERM');
  return gone;
}

async function ask() {
  const [port, clientPort, redisPort] = [await freePort(), await freePort(), await freePort()];
  changeSection('servers', ({ connector: [server] }) => Object.assign(server, { port, clientPort }));
  changeSection('redis', (redis) => Object.assign(redis, { port: redisPort }));
  const redis = await start('redis-server', [
    '--port', String(redisPort), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no',
  ], 'Ready to accept connections');
  const server = await start(join(scratch, 'debug', 'Greeter'), ['--id', 'connector-1'], 'up connector-1');
  const client = newClient();
  await client.init('127.0.0.1', clientPort);
  assert.deepEqual(await client.request('connector.greeter.greet', { name: 'ann' }), { text: 'Hello, ann!' });
  client.disconnect();
  askByHand(clientPort);
  assert.equal(await stop(server), 0, 'the server did not stop in order');
  await stop(redis);
}

/** The lines of Python that the article has for who has no client yet. */
function askByHand(clientPort) {
  const article = readFileSync(join(root, 'Sources', 'Pomelo', 'Pomelo.docc', 'Your-own-package.md'), 'utf8');
  const script = article.match(/```python\n([^]*?)```/)[1].replace('3110', clientPort);
  const { stdout } = spawnSync('python3', ['-c', script], { encoding: 'utf8', timeout: 30_000 });
  assert.ok(stdout.includes('{"text":"Hello, ann!"}'), `the article's Python heard: ${stdout}`);
}

async function main() {
  copyOut();
  swift('build', '--build-tests');
  assert.deepEqual(readdirSync(join(scratch, 'checkouts')).sort(), packages, 'other packages than wanted are resolved');
  swift('test', '--skip-build', '--disable-xctest');
  await ask();
  console.log(`the template builds with ${packages.length} packages, passes its test and answers`);
}

main().then(() => process.exit(0), (error) => {
  console.log(`FAILED   the template: ${error.message}`);
  process.exit(1);
});
