// SPDX-License-Identifier: MIT
//
// What breaks. A fault is a function of the campaign that breaks something and mends it again; it returns what it did.

import { setTimeout as pause } from 'node:timers/promises';

/** How long a supervisor may take to start a server again: at once, soon, or longer than a lease. */
const restarts = [300, 2000, 14_000];
/** A place where nobody listens. */
const deadHost = ['127.0.0.1', '1'];

async function killServer(campaign, type) {
  const { servers } = campaign;
  const id = campaign.pick(servers.ids(type));
  const delay = campaign.pick(restarts);
  const fault = servers.strike(id, 'kill');
  await servers.kill(id);
  await pause(delay);
  await servers.start(id);
  fault.end = Date.now();
  return `kill ${id}, again after ${seconds(delay)}`;
}

async function stopServer(campaign, type) {
  const { servers } = campaign;
  const id = campaign.pick(servers.ids(type));
  const length = campaign.between(1000, 20_000);
  const fault = servers.strike(id, 'pause');
  servers.signal(id, 'SIGSTOP');
  await pause(length);
  servers.signal(id, 'SIGCONT');
  fault.end = Date.now();
  return `stop ${id} for ${seconds(length)}`;
}

/** Somebody starts a server a second time, with other ports, while it is well. */
async function startTwin(campaign) {
  const { servers, ledger } = campaign;
  const id = campaign.pick([...servers.ids('connector'), ...servers.ids('chat')]);
  const begin = Date.now();
  const code = await servers.startTwin(id, ['port=21990', 'clientPort=21991'], 15);
  // Who is struck meanwhile may be replaced.
  const wasWell = servers.faults(id, 0).every((fault) => fault.end < begin);
  if (wasWell && (code === null || code === 0)) ledger.count('usurped', `the twin of ${id} ended with ${code}`);
  return `a second ${id}, which ended with ${code}`;
}

async function restartRedis(campaign, empty) {
  const { redis } = campaign;
  const length = campaign.pick([200, 2000, campaign.between(5000, 20_000)]);
  if (!empty) await redis.ask('SAVE');
  await redis.kill();
  await pause(length);
  await redis.start({ empty });
  return `Redis away for ${seconds(length)}, and back ${empty ? 'empty' : 'with its data'}`;
}

/** Redis comes back with what it had before a server was replaced. */
async function rewindRedis(campaign) {
  const { redis } = campaign;
  await redis.ask('SAVE');
  const what = await killServer(campaign, campaign.pick(['connector', 'chat']));
  await pause(campaign.between(1000, 6000));
  await redis.kill();
  await redis.start({ empty: false });
  return `${what}, and Redis back from a snapshot before it`;
}

async function flushRedis({ redis }) {
  await redis.ask('FLUSHALL');
  return 'FLUSHALL';
}

/** A server starts while Redis has been emptied, and the others do not know it yet. */
async function emptyAtAStart(campaign) {
  const { redis, servers } = campaign;
  const id = campaign.pick(servers.ids(campaign.pick(['chat', 'connector'])));
  const length = campaign.pick([0, 2000, 15_000]);
  const fault = servers.strike(id, 'kill');
  await servers.kill(id);
  await redis.kill();
  await pause(length);
  await redis.start();
  await servers.start(id);
  fault.end = Date.now();
  return `Redis away for ${seconds(length)}, and back empty when ${id} starts`;
}

async function stopRedis(campaign) {
  const length = campaign.between(1000, 20_000);
  campaign.redis.signal('SIGSTOP');
  await pause(length);
  campaign.redis.signal('SIGCONT');
  return `stop Redis for ${seconds(length)}`;
}

async function fillRedis(campaign) {
  const length = campaign.between(2000, 15_000);
  await campaign.redis.ask('CONFIG', 'SET', 'maxmemory', '1');
  await pause(length);
  await campaign.redis.ask('CONFIG', 'SET', 'maxmemory', '0');
  return `Redis out of memory for ${seconds(length)}`;
}

async function demoteRedis(campaign) {
  const length = campaign.between(2000, 15_000);
  const stale = campaign.pick(['yes', 'no']);
  await campaign.redis.ask('CONFIG', 'SET', 'replica-serve-stale-data', stale);
  await campaign.redis.ask('REPLICAOF', ...deadHost);
  await pause(length);
  await campaign.redis.ask('REPLICAOF', 'NO', 'ONE');
  return `Redis a replica of nobody for ${seconds(length)}, ${stale === 'yes' ? 'READONLY' : 'MASTERDOWN'}`;
}

/** Two faults of different parts, the second while the first goes on or heals. */
async function twoAtOnce(campaign) {
  const one = campaign.pick(single.filter(({ part }) => part !== 'redis'));
  const other = campaign.pick(single.filter(({ part }) => part !== one.part));
  const second = pause(campaign.between(0, 6000)).then(() => other.run(campaign));
  return (await Promise.all([one.run(campaign), second])).join('; ');
}

const single = [
  { name: 'kill-connector', part: 'connector', weight: 3, run: (campaign) => killServer(campaign, 'connector') },
  { name: 'stop-connector', part: 'connector', weight: 3, run: (campaign) => stopServer(campaign, 'connector') },
  { name: 'kill-chat', part: 'chat', weight: 2, run: (campaign) => killServer(campaign, 'chat') },
  { name: 'stop-chat', part: 'chat', weight: 2, run: (campaign) => stopServer(campaign, 'chat') },
  { name: 'kill-gate', part: 'gate', weight: 1, run: (campaign) => killServer(campaign, 'gate') },
  { name: 'twin', part: 'twin', weight: 1, run: startTwin },
  { name: 'redis-empty', part: 'redis', weight: 2, run: (campaign) => restartRedis(campaign, true) },
  { name: 'redis-data', part: 'redis', weight: 1, run: (campaign) => restartRedis(campaign, false) },
  { name: 'redis-flushed', part: 'redis', weight: 1, run: flushRedis },
  { name: 'redis-stopped', part: 'redis', weight: 1, run: stopRedis },
  { name: 'redis-full', part: 'redis', weight: 1, run: fillRedis },
  { name: 'redis-readonly', part: 'redis', weight: 1, run: demoteRedis },
];

export const faults = [
  ...single,
  { name: 'redis-rewound', part: 'all', weight: 2, run: rewindRedis },
  { name: 'redis-empty-start', part: 'all', weight: 2, run: emptyAtAStart },
  { name: 'two', part: 'all', weight: 4, run: twoAtOnce },
];

function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
