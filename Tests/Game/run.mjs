// SPDX-License-Identifier: MIT
//
// An application of a user's own: the package in this folder depends on this checkout from outside. Its seven processes
// start with a Redis of their own, and play.py, whose client is pypomelo as published, plays through it.
//
//   node Tests/Game/run.mjs [--scratch .build/template/build] [--python .build/venv/bin/python]

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, createWriteStream, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { canListen, freePort } from '../Clients/support/cluster.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..', '..');
const { values: options } = parseArgs({
  options: {
    // Where Tests/Template/run.mjs builds: what both depend on is built once.
    scratch: { type: 'string', default: join(root, '.build', 'template', 'build') },
    python: { type: 'string', default: join(root, '.build', 'venv', 'bin', 'python') },
  },
});
const scratch = resolve(options.scratch);
const program = join(scratch, 'debug', 'Game');
/** What a run leaves behind: its configuration and its logs. */
const folder = join(root, '.build', 'game');
const config = join(folder, 'config');
/** Nothing of this shell's counts, and one key of world.json is replaced. */
const env = { ...process.env };
for (const name of Object.keys(env)) if (/^(POMELO_|REDIS_URL$|LOG_LEVEL$)/.test(name)) delete env[name];
env.POMELO_WORLD_GOLD = '30';
const startSeconds = 30;
const stopSeconds = 5;

const processes = new Map();
process.on('exit', () => processes.forEach((child) => child.kill('SIGKILL')));
process.on('SIGTERM', () => process.exit(143));
process.on('SIGINT', () => process.exit(130));

let met = 0;
function expect(found, wanted, what) {
  assert.deepEqual(found, wanted, what);
  met += 1;
}

function build() {
  const started = Date.now();
  const words = ['build', '--package-path', here, '--scratch-path', scratch];
  const { status } = spawnSync('swift', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  assert.equal(status, 0, 'swift build failed: see what it says without this script');
  console.log(`swift build: ${seconds(started)} s`);
}

/** The configuration of the package, on free ports. */
async function configure() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(here, 'config'), config, { recursive: true });
  const [port, first, firstClient] = [await freePort(), await freePorts(2), await freePorts(2)];
  await change('servers', async ({ gate, connector, area, chat }) => {
    for (const server of [...gate, ...area, ...chat]) server.port = await freePort();
    gate[0].clientPort = await freePort();
    Object.assign(connector[0], { port: `${first}++`, clientPort: `${firstClient}++` });
  });
  await change('master', async (master) => { master.port = await freePort(); });
  await change('redis', async (redis) => { redis.port = port; });
  return port;
}

async function change(name, edit) {
  const path = join(config, `${name}.json`);
  const document = JSON.parse(readFileSync(path, 'utf8'));
  await edit(document.development);
  writeFileSync(path, JSON.stringify(document, null, 2));
}

/** The first of several free ports in a row. */
async function freePorts(count) {
  for (;;) {
    const first = await freePort();
    const rest = await Promise.all(Array.from({ length: count - 1 }, (_, offset) => canListen(first + offset + 1)));
    if (rest.every(Boolean)) return first;
  }
}

function start(name, command, words, sign) {
  const child = spawn(command, words, { cwd: here, env, stdio: ['ignore', 'pipe', 'pipe'] });
  processes.set(name, child);
  const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
  return new Promise((done, failed) => {
    const fail = (why) => failed(new Error(`${name} ${why}; see ${folder}/${name}.log`));
    const late = setTimeout(() => fail(`was not up after ${startSeconds} s`), startSeconds * 1000);
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => fail(`ended with ${signal ?? code}`));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes(sign)) return;
      clearTimeout(late);
      done();
    });
  });
}

/** Without anything in it, each time. */
const startRedis = (port) => start('redis', 'redis-server', [
  '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no',
], 'Ready to accept connections');
const startServer = (id) => start(id, program, ['--id', id, '--config', config], `up ${id}`);

/** Asks a process to end, which it does within seconds, in order. */
async function stop(name) {
  const child = processes.get(name);
  const started = Date.now();
  const gone = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), stopSeconds * 1000);
  expect(await gone, 0, `${name} did not stop in order within ${stopSeconds} s`);
  clearTimeout(late);
  processes.delete(name);
  return Date.now() - started;
}

/** One run of the command line. */
function command(...words) {
  const { status, stdout, stderr } = spawnSync(program, words, { cwd: here, env, encoding: 'utf8' });
  return { status, said: stdout.trim(), complaint: stderr.trim() };
}

function checkCommands(ids, redisPort) {
  const list = command('servers', '--config', config);
  expect(list.status, 0, list.complaint);
  expect(list.said.split('\n').map((line) => line.split('\t')[0]), ids, 'servers names others');
  expect(command('--config', config, 'servers'), list);
  expect(command('redis', '--config', config).said, `127.0.0.1\t${redisPort}`);
  expect(command('health', '--id', 'area-1', '--config', config).said, 'area-1 is up and ready');
  const unknown = command('--id', 'area-9', '--config', config);
  expect(unknown.status, 1);
  assert.match(unknown.complaint, /^error: .*servers\.json has no server "area-9" for development; it has: area-1, /);
}

/** play.py plays; lines that begin with `> ` are wishes: `> stop area-1`. */
async function play(redisPort) {
  const servers = JSON.parse(readFileSync(join(config, 'servers.json'), 'utf8')).development;
  const words = ['-B', join(here, 'play.py'), '127.0.0.1', String(servers.gate[0].clientPort)];
  const child = spawn(options.python, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  processes.set('play.py', child);
  const ended = new Promise((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code) => (code === 0 ? done() : failed(new Error(`play.py ended with ${code}`))));
  });
  createInterface({ input: child.stdout }).on('line', async (line) => {
    const wish = line.match(/^> (stop|start) (\S+)$/);
    const count = line.match(/^(\d+) expectations met$/);
    if (count) met += Number(count[1]);
    if (!wish) return console.log(line);
    try {
      if (wish[1] === 'stop') await stop(wish[2]);
      else await (wish[2] === 'redis' ? startRedis(redisPort) : startServer(wish[2]));
      child.stdin.write('done\n');
    } catch (error) {
      console.log(`FAILED   ${line}: ${error.message}`);
      child.kill('SIGKILL');
    }
  });
  await ended;
  processes.delete('play.py');
}

async function main() {
  build();
  const began = Date.now();
  const redisPort = await configure();
  await startRedis(redisPort);
  const connectors = ['cluster-server-connector-0', 'cluster-server-connector-1'];
  const ids = ['area-1', 'area-2', 'chat-1', ...connectors, 'gate-1', 'master-1'];
  await Promise.all(ids.map(startServer));
  console.log(`seven processes are up after ${seconds(began)} s`);
  checkCommands(ids, redisPort);
  await play(redisPort);
  const slowest = Math.max(...await Promise.all(ids.map(stop)));
  await stop('redis');
  console.log(`the game stopped within ${slowest} ms; ${met} expectations met in ${seconds(began)} s`);
}

function seconds(since) {
  return Math.round((Date.now() - since) / 100) / 10;
}

main().then(() => process.exit(0), (error) => {
  console.log(`FAILED   the game: ${error.message}`);
  process.exit(1);
});
