// SPDX-License-Identifier: MIT
//
// A failure campaign: clients talk in the rooms of a Chat cluster while its parts are broken one after the other, and
// the clients count what must not happen. Every fault is a line; the counters and the exit code say how it went.
//
//   node Tests/Campaign/run.mjs [--minutes 30] [--clients 300] [--seed 1] [--faults 0] [--only kill-chat,two]
//                               [--bin .build/release] [--seconds-between 4]
//
// Logs of all servers, and each finding with its time, are in .build/campaign.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { newClient } from '../Clients/support/people.mjs';
import { faults } from './faults.mjs';
import { Ledger, differences, rules } from './ledger.mjs';
import { Person, Room, askGate } from './person.mjs';
import { Redis } from './redis.mjs';
import { Processes, Servers } from './servers.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const peopleARoom = 30;
const leaseMs = 10_000;
/** After a lease a clean-up has 2 s, and the machine some slack. */
const healMs = leaseMs + 2000 + 3000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    clients: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    bin: { type: 'string', default: join(root, '.build', 'release') },
    'seconds-between': { type: 'string', default: '4' },
  },
});

class Campaign {
  isOver = false;
  isQuiet = false;

  constructor(seed) {
    this.random = generator(seed);
    this.processes = new Processes(join(root, '.build', 'campaign'));
    const program = join(resolve(options.bin), 'Chat');
    this.servers = new Servers(this.processes, program, join(here, 'config'), (id, why) => {
      this.ledger.count('exits', `${id} ended with ${why}`);
    });
    this.ledger = new Ledger(join(this.processes.folder, 'findings.log'), this.servers);
    this.redis = new Redis(this.processes, this.processes.folder, this.servers.redis.port);
    const count = Number(options.clients);
    this.rooms = Array.from({ length: Math.ceil(count / peopleARoom) }, (_, index) => new Room(`room${index + 1}`));
    this.people = Array.from({ length: count }, (_, index) => {
      return new Person(this, `p${index + 1}`, this.rooms[index % this.rooms.length]);
    });
  }

  pick(values) {
    return values[Math.floor(this.random() * values.length)];
  }

  between(low, high) {
    return Math.round(low + this.random() * (high - low));
  }

  async start() {
    await this.redis.start();
    await this.servers.startAll();
    for (const person of this.people) {
      person.live();
      person.talk(Number(options['seconds-between']));
      await pause(10);
    }
    await this.settle(Date.now(), 0);
  }

  /** One fault, and all that must be true when it is over. */
  async suffer(fault) {
    const before = { ...this.ledger.counts };
    const begin = Date.now();
    this.ledger.note(`---- ${fault.name}`);
    const what = await fault.run(this);
    this.ledger.note(`mended: ${what}`);
    await this.settle(Date.now(), begin + leaseMs + 3000);
    const found = Object.keys(rules).filter((rule) => this.ledger.counts[rule] > before[rule])
      .map((rule) => `${rule} ${this.ledger.counts[rule] - before[rule]}`);
    return `${what}: ${found.length === 0 ? 'ok' : found.join(', ')}`;
  }

  /** Waits until everything has healed, stops the talk, and looks at all lists and all keys. */
  async settle(mended, notBefore) {
    const deadline = mended + healMs;
    while (Date.now() < Math.max(notBefore, mended + 4000)) await pause(100);
    this.isQuiet = true;
    const isHealed = () => this.people.every((person) => person.visit !== null)
      && this.ledger.listsAreRight(this.rooms);
    while (Date.now() < deadline && !isHealed()) await pause(100);
    await pause(1500);
    for (const person of this.people) {
      if (person.visit === null) this.ledger.count('stranded', `${person.name} of ${person.room.name}`);
    }
    this.ledger.judgeMessages();
    this.ledger.judgeLists(this.rooms);
    for (const room of this.rooms) await this.#probe(room);
    await this.#judgeRedis();
    this.isQuiet = false;
  }

  /** Somebody new comes in, and must be given everybody. */
  async #probe(room) {
    const client = newClient();
    try {
      const entry = await askGate(this.servers.gate, room.name);
      await client.init(entry.host, entry.port);
      const body = { username: 'probe', rid: room.name };
      const answer = await client.request('connector.entryHandler.enter', body);
      const wrong = differences(new Set(answer.users ?? []), new Set([...room.names, 'probe']));
      if (wrong !== '') this.ledger.count('wrongLists', `the newest in ${room.name} ${wrong}`);
    } catch (error) {
      this.ledger.count('stranded', `the newest in ${room.name}: ${error.message}`);
    } finally {
      client.disconnect();
    }
  }

  async #judgeRedis() {
    let wrong = [];
    for (const end = Date.now() + 5000; Date.now() < end; await pause(250)) {
      wrong = await this.#wrongKeys();
      if (wrong.length === 0) return;
    }
    for (const key of wrong) this.ledger.count('ghosts', key);
  }

  /** Every key of memberships, statuses and bindings against the clients. */
  async #wrongKeys() {
    const expected = new Map();
    for (const visit of this.rooms.flatMap((room) => [...room.visits])) {
      const uid = `${visit.person.name}*${visit.room.name}`;
      const members = `POMELO:CHANNEL:${visit.room.name}:${visit.connector}`;
      expected.set(members, [...(expected.get(members) ?? []), uid]);
      expected.set(`POMELO:STATUS:${uid}`, [visit.connector]);
      expected.set(`{POMELO:STATUS:${uid}}:bind`, [visit.connector]);
    }
    const keys = [...new Set([...expected.keys(), ...await this.redis.keys('*POMELO:*')])];
    const questions = keys.map((key) => key.endsWith('}:bind') ? ['HMGET', key, 'sid'] : ['SMEMBERS', key]);
    const answers = await this.redis.askAll(questions);
    return keys.flatMap((key, index) => {
      const found = [answers[index]].flat().filter((value) => value !== null).map(String);
      const wrong = differences(new Set(found), new Set(expected.get(key) ?? []));
      return wrong === '' ? [] : [`${key} ${wrong}`];
    });
  }

  async stop() {
    this.isOver = true;
    for (const person of this.people) person.disconnect();
    await this.servers.stopAll();
    await this.redis.kill();
  }
}

/** Mulberry32: numbers from 0 to 1 that a seed decides. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Kinds of faults in an order that a seed decides: each about as often as it weighs. */
function* schedule(random, names) {
  const kinds = faults.filter(({ name }) => names.length === 0 || names.includes(name));
  if (kinds.length === 0) throw new Error(`faults are ${faults.map(({ name }) => name).join(' ')}`);
  for (;;) {
    const bag = kinds.flatMap((fault) => Array(fault.weight).fill(fault));
    while (bag.length > 0) yield bag.splice(Math.floor(random() * bag.length), 1)[0];
  }
}

async function main() {
  const seed = Number(options.seed);
  const campaign = new Campaign(seed);
  const delay = monitorEventLoopDelay();
  delay.enable();
  const end = Date.now() + Number(options.minutes) * 60_000;
  await campaign.start();
  console.log(`${options.clients} clients are in, seed ${seed}`);
  const kinds = schedule(generator(seed), options.only.split(',').filter((name) => name !== ''));
  const most = Number(options.faults) || Infinity;
  let count = 0;
  while (count < most && Date.now() < end) {
    count += 1;
    delay.reset();
    const line = await campaign.suffer(kinds.next().value);
    const lag = delay.max / 1e9;
    const note = lag > 1 ? ` (these clients were late themselves, by ${lag.toFixed(1)} s)` : '';
    console.log(`${new Date().toISOString().slice(11, 19)} ${count} ${line}${note}`);
  }
  await campaign.stop();
  const list = (counts) => Object.entries(counts).map(([name, value]) => `${name} ${value}`).join(', ');
  console.log(list(campaign.ledger.seen));
  console.log(`${options.clients} clients, ${count} faults: ${list(campaign.ledger.counts)}`);
  if (campaign.ledger.total === 0) return 0;
  console.log(`each with its time in ${join('.build', 'campaign', 'findings.log')}`);
  return 1;
}

process.on('SIGTERM', () => process.exit(143));
process.on('SIGINT', () => process.exit(130));
main().then((status) => process.exit(status), (error) => {
  console.log(`the campaign broke off: ${error.stack}`);
  process.exit(2);
});
