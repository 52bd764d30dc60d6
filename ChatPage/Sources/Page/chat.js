// SPDX-License-Identifier: MIT
//
// The chat page: what people do goes to the `Visit`, and what it reports is drawn.

import { fault, limit, memory } from '/door.js';
import { Log, element } from '/log.js';
import { steadyTimers } from '/timers.js';
import { Refusal, Visit, reentrySeconds } from '/visit.js';

const everyone = '*';
const conditions = {
  away: '', connecting: 'connecting…', online: 'online', reconnecting: 'connection lost, coming back…',
};
const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((node) => [node.id, node]));
const members = new Set();
const timers = steadyTimers();
const log = new Log(page.log);
let visit = null;
let target = everyone;
let connector = null;
let isReloaded = false;

// ---- what the visit reports

const report = {
  state(state) {
    page.state.dataset.state = state;
    page.condition.textContent = conditions[state];
    page.connector.textContent = state === 'online' ? `on ${connector}` : '';
    page.send.disabled = state !== 'online';
    if (state === 'reconnecting') log.notice(`Connection to ${connector} lost. Coming back…`, { isBad: true });
  },
  entered(users, server, address, last) {
    const before = connector;
    connector = server;
    const place = server === address ? server : `${server} (${address})`;
    showHouse();
    setMembers(users);
    if (isReloaded) log.notice('The page was reloaded. What was said before is not kept.');
    if (before === null) log.notice(`You are in ${visit.room}, on ${place}.${isReloaded ? '' : welcome(last)}`);
    else if (before === server) log.notice(`You are back, on ${place} as before.`);
    else log.notice(`You are back, and moved to ${place}.`);
    isReloaded = false;
  },
  gap() {
    log.notice('Messages may be missing here. The list of people is asked for anew.', { isBad: true });
  },
  listed: setMembers,
  joined(user) {
    if (members.has(user)) return;
    members.add(user);
    log.notice(`${user} came in`);
    drawMembers();
  },
  left(user) {
    if (!members.delete(user)) return;
    log.notice(`${user} left`);
    if (user === target) pick(everyone);
    drawMembers();
  },
  said: drawSaid,
  refused: goOut,
};

/** For one who was here before, as the servers remember it. */
function welcome(last) {
  if (last === undefined) return '';
  const messages = last.said === 1 ? '1 message' : `${last.said} messages`;
  return ` Welcome back: last time you were in ${last.room}; ${messages} of yours until now.`;
}

// ---- people

function setMembers(users) {
  members.clear();
  for (const user of users) members.add(user);
  if (target !== everyone && !members.has(target)) pick(everyone);
  drawMembers();
}

/** Oneself first, then by name. Who had the focus keeps it. */
function drawMembers() {
  const { activeElement } = document;
  const focused = page.members.contains(activeElement) ? activeElement.dataset.name : undefined;
  page.count.textContent = members.size === 1 ? '1 person' : `${members.size} people`;
  const others = [...members].filter((name) => name !== visit.name).sort((a, b) => a.localeCompare(b));
  page.members.replaceChildren(...[visit.name, ...others].map((name) => {
    const item = element('li', '');
    item.append(name === visit.name ? ownChip(name) : chip(name));
    return item;
  }));
  if (focused !== undefined) page.members.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
}

function ownChip(name) {
  const node = element('p', 'member own');
  node.dataset.name = name;
  node.append(face(name), element('span', 'label', `${name} (you)`));
  return node;
}

function chip(name) {
  const node = element('button', 'member');
  node.type = 'button';
  node.dataset.name = name;
  node.setAttribute('aria-pressed', String(name === target));
  node.title = `Talk to ${name} alone`;
  node.append(face(name), element('span', 'label', name));
  node.addEventListener('click', () => {
    pick(name === target ? everyone : name);
    page.text.focus();
  });
  return node;
}

function face(name) {
  const node = element('span', 'face', [...name][0].toUpperCase());
  const hash = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  node.style.setProperty('--hue', hash);
  node.setAttribute('aria-hidden', 'true');
  return node;
}

function pick(name) {
  target = name;
  page.target.textContent = name === everyone ? 'everyone' : `${name}, in private`;
  page.everyone.hidden = name === everyone;
  drawMembers();
}

// ---- talk

function drawSaid({ from, msg, target: to }) {
  const isMine = from === visit.name;
  const who = isMine ? 'you' : from;
  const secret = to === everyone ? '' : `${who} → ${to === visit.name ? 'you' : to}, in private`;
  log.said({ who, words: typeof msg === 'string' ? msg : JSON.stringify(msg), isMine, secret });
}

async function send(event) {
  event.preventDefault();
  const words = page.text.value;
  const to = target;
  const stay = visit;
  page.text.value = '';
  const answer = await stay.say(words, to).catch(() => ({ code: 0 }));
  if (visit !== stay) return;
  if (answer.code === undefined) {
    // The room hears itself; a private message reaches the other side only.
    if (to !== everyone) drawSaid({ from: stay.name, msg: words, target: to });
    return;
  }
  if (answer.code !== 404 && page.text.value === '') page.text.value = words;
  log.notice(refusal(answer.code, to), { isBad: true });
}

function refusal(code, to) {
  if (code === 404) return `${to} is not here any more.`;
  if (code !== 503) return 'That message could not be sent.';
  return to === everyone ? 'Not everyone may have got that.' : `${to} may be on the way back: try again.`;
}

// ---- in and out

function showHouse() {
  if (!page.house.hidden) return;
  page.door.hidden = true;
  page.house.hidden = false;
  page.place.textContent = visit.room;
  memory.set({ name: visit.name, room: visit.room, isInside: true });
  pick(everyone);
  page.text.focus();
}

function goOut(problem = '') {
  const wasInside = !page.house.hidden;
  visit?.end();
  visit = connector = null;
  isReloaded = false;
  page.house.hidden = page.stop.hidden = true;
  page.door.hidden = false;
  page.place.textContent = 'Pomelo chat';
  page.count.textContent = '';
  page.enter.textContent = 'Enter';
  page.problem.textContent = problem;
  log.clear();
  memory.set({ name: page.name.value, room: page.room.value, isInside: false });
  if (wasInside) page.entry.focus();
}

async function enter(patienceSeconds) {
  if (visit !== null) return;
  const name = page.name.value.trim();
  const room = page.room.value.trim();
  for (const [label, words] of [['Your name', name], ['The room', room]]) {
    const wrong = fault(words);
    page.problem.textContent = wrong === null ? '' : `${label} ${wrong}.`;
    if (wrong !== null) return;
  }
  page.enter.textContent = isReloaded ? `Coming back to ${room}…` : 'Entering…';
  page.stop.hidden = false;
  const stay = new Visit({ name, room, timers, report });
  visit = stay;
  try {
    const gate = await (await fetch('/config.json')).json();
    await stay.start({ host: location.hostname, ...gate }, patienceSeconds);
  } catch (error) {
    if (visit === stay) goOut(error instanceof Refusal ? error.message : 'The server cannot be reached.');
  }
}

/** Escape takes back what is going on: an attempt to enter, then the private talk. */
function takeBack(event) {
  if (event.key !== 'Escape' || event.isComposing) return;
  if (page.house.hidden) {
    if (visit !== null) goOut();
  } else if (target !== everyone) {
    pick(everyone);
    page.text.focus();
  }
}

/** The page is as high as what a keyboard on the screen leaves of it; phones do not tell its layout. */
function fitAboveKeyboard() {
  const { height, scale, offsetTop } = visualViewport;
  const { style } = document.documentElement;
  style.setProperty('--height', `${Math.round(height * scale)}px`);
  style.setProperty('--top', scale > 1 ? '0px' : `${Math.round(offsetTop)}px`);
  if (page.door.contains(document.activeElement)) document.activeElement.scrollIntoView({ block: 'nearest' });
}

function start() {
  for (const field of [page.name, page.room]) limit(field, page[`${field.id}-limit`]);
  page.entry.addEventListener('submit', (event) => {
    event.preventDefault();
    enter(0);
  });
  page.composer.addEventListener('submit', send);
  page.everyone.addEventListener('click', () => {
    pick(everyone);
    page.text.focus();
  });
  page.leave.addEventListener('click', () => goOut());
  page.stop.addEventListener('click', () => goOut());
  document.addEventListener('keydown', takeBack);
  for (const event of ['resize', 'scroll']) window.visualViewport?.addEventListener(event, fitAboveKeyboard);
  page.enter.disabled = false;
  const kept = memory.get();
  if (kept === null) return;
  page.name.value = kept.name;
  page.room.value = kept.room;
  if (!kept.isInside) return;
  isReloaded = true;
  enter(reentrySeconds); // the connection before the reload may not have ended yet
}

start();
